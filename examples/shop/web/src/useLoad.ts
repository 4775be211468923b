import { useEffect, useState } from 'react';
import { call } from './api';

interface Load<T> {
  data: T | null;
  error: string | null;
}

export function useLoad<T>(path: string, token: string | null): Load<T> {
  const [load, setLoad] = useState<Load<T>>({ data: null, error: null });

  useEffect(() => {
    let current = true;
    call<T>('GET', path, token).then(
      (data) => current && setLoad({ data, error: null }),
      (err: Error) => current && setLoad({ data: null, error: err.message }),
    );
    return () => {
      current = false;
    };
  }, [path, token]);

  return load;
}
