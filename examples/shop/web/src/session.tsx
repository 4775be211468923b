import { createContext, ReactNode, useCallback, useContext, useMemo, useState } from 'react';
import { call } from './api';

interface Session {
  token: string | null;
  signIn(email: string, password: string): Promise<void>;
  signOut(): Promise<void>;
}

const KEY = 'shop.token';
const Context = createContext<Session | null>(null);

export function SessionProvider({ children }: { children: ReactNode }) {
  const [token, setToken] = useState(() => localStorage.getItem(KEY));

  const signIn = useCallback(async (email: string, password: string) => {
    const answer = await call<{ token: string }>('POST', '/api/login', null, { email, password });
    localStorage.setItem(KEY, answer.token);
    setToken(answer.token);
  }, []);

  const signOut = useCallback(async () => {
    await call<void>('POST', '/api/logout', token).catch(() => undefined);
    localStorage.removeItem(KEY);
    setToken(null);
  }, [token]);

  const session = useMemo(() => ({ token, signIn, signOut }), [token, signIn, signOut]);
  return <Context.Provider value={session}>{children}</Context.Provider>;
}

export function useSession() {
  const session = useContext(Context);
  if (!session) {
    throw new Error('useSession needs a SessionProvider');
  }
  return session;
}
