import Stripe from 'stripe';
import { HttpError } from './error.js';
import { log } from './log.js';

const MAX_ATTEMPTS = 5;
const { STRIPE_SECRET_KEY, STRIPE_API_BASE } = process.env;

const webhookSecret = process.env.STRIPE_WEBHOOK_SECRET;
if (!webhookSecret) {
  throw new Error('STRIPE_WEBHOOK_SECRET is not set');
}

function endpoint(base) {
  if (!base) {
    return {};
  }
  const { hostname, port, protocol } = new URL(base);
  return { host: hostname, port, protocol: protocol.replace(':', '') };
}

export const stripe = new Stripe(STRIPE_SECRET_KEY, {
  maxNetworkRetries: 0,
  ...endpoint(STRIPE_API_BASE),
});

export async function charge(order, paymentMethod) {
  const params = {
    amount: order.amountCents,
    currency: 'eur',
    payment_method: paymentMethod,
    payment_method_types: ['card'],
    confirm: true,
    metadata: { order_id: String(order.id) },
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await stripe.paymentIntents.create(params, { idempotencyKey: `order-${order.id}` });
    } catch (err) {
      if (err.type === 'StripeCardError') {
        throw new HttpError(402, err.message);
      }
      if (attempt === MAX_ATTEMPTS) {
        throw err;
      }
      log.warn({ reason: err.message, attempt }, 'charge failed, trying again');
    }
  }
}

export function readEvent(payload, signature) {
  return stripe.webhooks.constructEvent(payload, signature, webhookSecret);
}
