import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from './setup.js';
import sgMail from '@sendgrid/mail';
import { charge, stripe } from '../src/billing.js';
import { Notification, Order, Payment, User } from '../src/models.js';

const order = { id: '12', amountCents: 1980 };

test('a charge is tried again', async (t) => {
  let calls = 0;
  t.mock.method(stripe.paymentIntents, 'create', async () => {
    calls++;
    if (calls < 3) {
      throw new Error('connection reset');
    }
    return { id: 'pi_1' };
  });
  assert.deepEqual(await charge(order, 'pm_card_visa'), { id: 'pi_1' });
  assert.equal(calls, 3);
});

test('a declined card is not tried again', async (t) => {
  const create = t.mock.method(stripe.paymentIntents, 'create', async () => {
    throw Object.assign(new Error('declined'), { type: 'StripeCardError' });
  });
  await assert.rejects(charge(order, 'pm_card_visa'), /declined/);
  assert.equal(create.mock.callCount(), 1);
});

test('a paid intent marks its order', async (t) => {
  const update = t.mock.fn(async () => {});
  t.mock.method(Order, 'findByPk', async () => ({ ...order, userId: '7', update }));
  t.mock.method(Payment, 'create', async () => {});
  t.mock.method(User, 'increment', async () => {});
  t.mock.method(User, 'findByPk', async () => ({ email: 'ada@shop.example', name: 'Ada' }));
  t.mock.method(Notification, 'create', async () => {});
  const send = t.mock.method(sgMail, 'send', async () => {});

  const body = JSON.stringify({
    id: 'evt_1',
    object: 'event',
    type: 'payment_intent.succeeded',
    data: { object: { id: 'pi_1', amount: 1980, metadata: { order_id: '12' } } },
  });
  const signature = stripe.webhooks.generateTestHeaderString({ payload: body, secret: 'whsec_unit' });
  const request = await serve(t);
  const res = await request('POST', '/api/webhooks/stripe', {
    body,
    headers: { 'content-type': 'application/json', 'stripe-signature': signature },
  });
  assert.deepEqual(res, { status: 200, json: { received: true } });
  assert.deepEqual(update.mock.calls[0].arguments[0], { status: 'paid' });
  assert.equal(send.mock.callCount(), 1);
});

test('an event with a wrong signature is refused', async (t) => {
  const request = await serve(t);
  const res = await request('POST', '/api/webhooks/stripe', {
    body: '{}',
    headers: { 'content-type': 'application/json', 'stripe-signature': 't=1,v1=00' },
  });
  assert.equal(res.status, 400);
});
