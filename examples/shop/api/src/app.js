import 'express-async-errors';
import express from 'express';
import { account } from './account.js';
import { auth } from './auth.js';
import { notFound, onError } from './error.js';
import { health } from './health.js';
import { requestLog } from './log.js';
import { notifications } from './notifications.js';
import { orders } from './orders.js';
import { products } from './products.js';
import { webhooks } from './webhooks.js';

export const app = express();

app.disable('x-powered-by');
app.use(health);
app.use(requestLog);
app.use('/api/webhooks', webhooks);
app.use(express.json());
app.use('/api', auth);
app.use('/api/products', products);
app.use('/api/orders', orders);
app.use('/api/account', account);
app.use('/api/notifications', notifications);
app.use(notFound);
app.use(onError);
