export interface Product {
  id: string;
  name: string;
  description: string;
  image: string;
  priceCents: number;
  stock: number;
}

export interface Order {
  id: string;
  product: string;
  quantity: number;
  amountCents: number;
  status: string;
  createdAt: string;
}

export interface Account {
  id: string;
  email: string;
  name: string;
  points: number;
  createdAt: string;
}

export interface Notice {
  id: string;
  body: string;
}

export class ApiError extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

export async function call<T>(method: string, path: string, token: string | null, body?: unknown): Promise<T> {
  const headers: Record<string, string> = {};
  if (token) {
    headers.Authorization = `Bearer ${token}`;
  }
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
  }
  const res = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (!res.ok) {
    const problem = await res.json().catch(() => ({}));
    throw new ApiError(res.status, problem.error ?? `the server answered ${res.status}`);
  }
  return res.status === 204 ? (undefined as T) : res.json();
}
