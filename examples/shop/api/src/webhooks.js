import express, { Router } from 'express';
import { readEvent } from './billing.js';
import { log } from './log.js';
import { sendReceiptMail } from './mail.js';
import { Notification, Order, Payment, User } from './models.js';

export const webhooks = Router();

webhooks.post('/stripe', express.raw({ type: 'application/json' }), async (req, res) => {
  let event;
  try {
    event = readEvent(req.body, req.get('stripe-signature'));
  } catch (err) {
    res.status(400).json({ error: err.message });
    return;
  }
  if (event.type === 'payment_intent.succeeded') {
    await paymentSucceeded(event.data.object);
  }
  res.json({ received: true });
});

async function paymentSucceeded(intent) {
  const order = await Order.findByPk(intent.metadata.order_id);
  if (!order) {
    log.warn({ intent: intent.id }, 'payment without an order');
    return;
  }
  await order.update({ status: 'paid' });
  await Payment.create({ orderId: order.id, paymentIntent: intent.id, amountCents: intent.amount });
  await User.increment({ points: Math.floor(intent.amount / 100) }, { where: { id: order.userId } });
  await Notification.create({ userId: order.userId, body: `Order ${order.id} is paid` });
  const user = await User.findByPk(order.userId);
  await sendReceiptMail(user, order);
}
