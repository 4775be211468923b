import { mock } from 'node:test';

Object.assign(process.env, {
  NODE_ENV: 'test',
  LOG_LEVEL: 'silent',
  DATABASE_URL: 'postgres://shop@127.0.0.1:1/shop',
  REDIS_URL: 'redis://127.0.0.1:1',
  SESSION_SECRET: 'test-session-secret',
  STRIPE_SECRET_KEY: 'sk_test_unit',
  STRIPE_WEBHOOK_SECRET: 'whsec_unit',
  SENDGRID_API_KEY: 'SG.unit.test',
  MAIL_FROM: 'shop@shop.example',
  PUBLIC_URL: 'http://localhost:8080',
});

const { app } = await import('../src/app.js');
const { openSession, redis } = await import('../src/session.js');

const sessions = new Map();
mock.method(redis, 'get', async (key) => sessions.get(key) ?? null);
mock.method(redis, 'set', async (key, value) => sessions.set(key, value));
mock.method(redis, 'del', async (key) => sessions.delete(key));

export async function serve(t) {
  const server = app.listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  t.after(() => new Promise((done) => server.close(done)));
  const base = `http://127.0.0.1:${server.address().port}`;
  return async function request(method, path, { token, json, body, headers = {} } = {}) {
    const res = await fetch(base + path, {
      method,
      headers: {
        connection: 'close',
        ...(json && { 'content-type': 'application/json' }),
        ...(token && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      body: json ? JSON.stringify(json) : body,
    });
    const text = await res.text();
    return { status: res.status, json: text ? JSON.parse(text) : undefined };
  };
}

export function signIn(userId = '7') {
  return openSession(userId);
}
