import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve, signIn } from './setup.js';
import { sequelize } from '../src/db.js';
import { Order, Product, User } from '../src/models.js';

test('health needs no session', async (t) => {
  const request = await serve(t);
  assert.equal((await request('GET', '/healthz')).status, 200);
});

test('products come in pages of 24', async (t) => {
  const findAll = t.mock.method(Product, 'findAll', async () => []);
  const request = await serve(t);
  const res = await request('GET', '/api/products?page=3');
  assert.deepEqual(res.json, { page: 3, items: [] });
  assert.equal(findAll.mock.calls[0].arguments[0].offset, 48);
  assert.equal(findAll.mock.calls[0].arguments[0].limit, 24);
});

test('an unknown product is not found', async (t) => {
  t.mock.method(Product, 'findByPk', async () => null);
  const request = await serve(t);
  assert.equal((await request('GET', '/api/products/9')).status, 404);
});

test('orders name their product', async (t) => {
  t.mock.method(Order, 'findAll', async () => [
    { id: '1', productId: '5', quantity: 2, amountCents: 1980, status: 'paid' },
    { id: '2', productId: '6', quantity: 1, amountCents: 500, status: 'paid' },
  ]);
  t.mock.method(Product, 'findByPk', async (id) => ({ name: `product ${id}` }));
  const request = await serve(t);
  const res = await request('GET', '/api/orders', { token: await signIn() });
  assert.deepEqual(res.json.items.map((item) => item.product), ['product 5', 'product 6']);
});

test('orders need a session', async (t) => {
  const request = await serve(t);
  assert.equal((await request('GET', '/api/orders')).status, 401);
});

test('an order needs a payment method', async (t) => {
  const request = await serve(t);
  const res = await request('POST', '/api/orders', { token: await signIn(), json: { productId: 5 } });
  assert.equal(res.status, 400);
});

test('the account answers', async (t) => {
  t.mock.method(User, 'findByPk', async () => ({ id: '7', name: 'Ada' }));
  const request = await serve(t);
  const res = await request('GET', '/api/account', { token: await signIn() });
  assert.equal(res.status, 200);
});

test('notifications are those of the session', async (t) => {
  const query = t.mock.method(sequelize, 'query', async () => [{ id: '1', body: 'hello' }]);
  const request = await serve(t);
  const res = await request('GET', '/api/notifications', { token: await signIn('42') });
  assert.deepEqual(res.json.items, [{ id: '1', body: 'hello' }]);
  assert.deepEqual(query.mock.calls[0].arguments[1].bind, ['42']);
});
