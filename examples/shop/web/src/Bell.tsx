import { useEffect, useState } from 'react';
import { Notice } from './api';
import { useSession } from './session';

const EVERY_MS = 5000;

export function Bell() {
  const { token } = useSession();
  const [notices, setNotices] = useState<Notice[]>([]);

  useEffect(() => {
    async function poll() {
      const res = await fetch('/api/notifications', { headers: { Authorization: `Bearer ${token}` } });
      if (!res.ok) return;
      const { items } = await res.json();
      setNotices(items);
    }
    poll().catch(() => {});
    const timer = setInterval(() => poll().catch(() => {}), EVERY_MS);
    return () => clearInterval(timer);
  }, []);

  if (notices.length === 0) {
    return null;
  }
  return (
    <details className="bell">
      <summary aria-label={`${notices.length} notifications`}>{notices.length}</summary>
      <ul>
        {notices.map((notice) => (
          <li key={notice.id}>{notice.body}</li>
        ))}
      </ul>
    </details>
  );
}
