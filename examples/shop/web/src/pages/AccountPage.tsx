import { Account } from '../api';
import { useSession } from '../session';
import { useLoad } from '../useLoad';

export function AccountPage() {
  const { token } = useSession();
  const { data, error } = useLoad<Account>('/api/account', token);

  if (error) {
    return <p role="alert">{error}</p>;
  }
  if (!data) {
    return <p aria-busy="true">Loading…</p>;
  }
  return (
    <section className="card narrow">
      <h1>Account</h1>
      <dl>
        <dt>Name</dt>
        <dd>{data.name}</dd>
        <dt>E-mail</dt>
        <dd>{data.email}</dd>
        <dt>Points</dt>
        <dd>{data.points}</dd>
      </dl>
    </section>
  );
}
