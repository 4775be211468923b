import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve, signIn } from './setup.js';
import { User } from '../src/models.js';
import { hashPassword } from '../src/password.js';

const passwordHash = await hashPassword('correct horse');

test('the right password opens a session', async (t) => {
  t.mock.method(User, 'findOne', async () => ({ id: '7', passwordHash }));
  t.mock.method(User, 'findByPk', async () => ({ id: '7', email: 'ada@shop.example', name: 'Ada' }));
  const request = await serve(t);

  const login = await request('POST', '/api/login', { json: { email: 'Ada@Shop.example', password: 'correct horse' } });
  assert.equal(login.status, 200);

  const me = await request('GET', '/api/me', { token: login.json.token });
  assert.deepEqual(me.json, { id: '7', email: 'ada@shop.example', name: 'Ada' });
});

test('a wrong password is refused', async (t) => {
  t.mock.method(User, 'findOne', async () => ({ id: '7', passwordHash }));
  const request = await serve(t);
  const login = await request('POST', '/api/login', { json: { email: 'ada@shop.example', password: 'guess' } });
  assert.equal(login.status, 401);
});

test('an unknown address is refused like a wrong password', async (t) => {
  t.mock.method(User, 'findOne', async () => null);
  const request = await serve(t);
  const login = await request('POST', '/api/login', { json: { email: 'who@shop.example', password: 'guess' } });
  assert.deepEqual(login, { status: 401, json: { error: 'wrong email or password' } });
});

test('a login without a password is a bad request', async (t) => {
  const request = await serve(t);
  const login = await request('POST', '/api/login', { json: { email: 'ada@shop.example' } });
  assert.equal(login.status, 400);
});

test('a closed session is refused', async (t) => {
  const request = await serve(t);
  const token = await signIn();
  assert.equal((await request('POST', '/api/logout', { token })).status, 204);
  assert.equal((await request('GET', '/api/me', { token })).status, 401);
});
