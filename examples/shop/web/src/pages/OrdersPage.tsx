import { Order } from '../api';
import { day, price } from '../format';
import { useSession } from '../session';
import { useLoad } from '../useLoad';

export function OrdersPage() {
  const { token } = useSession();
  const { data, error } = useLoad<{ items: Order[] }>('/api/orders', token);

  if (error) {
    return <p role="alert">{error}</p>;
  }
  if (!data) {
    return <p aria-busy="true">Loading…</p>;
  }
  return (
    <section>
      <h1>Orders</h1>
      {data.items.length === 0 && <p>You have not ordered anything yet.</p>}
      <table>
        <thead>
          <tr>
            <th>Order</th>
            <th>Date</th>
            <th>Product</th>
            <th>Amount</th>
            <th>Status</th>
          </tr>
        </thead>
        <tbody>
          {data.items.map((order) => (
            <tr key={order.id}>
              <td>{order.id}</td>
              <td>{day(order.createdAt)}</td>
              <td>{order.quantity} × {order.product}</td>
              <td>{price(order.amountCents)}</td>
              <td>{order.status}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
