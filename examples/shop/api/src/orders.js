import { Router } from 'express';
import { charge } from './billing.js';
import { sequelize } from './db.js';
import { HttpError } from './error.js';
import { log } from './log.js';
import { sendOrderMail } from './mail.js';
import { Order, Product, User } from './models.js';
import { requireSession } from './session.js';

const HISTORY = 50;

export const orders = Router();

orders.use(requireSession);

orders.get('/', async (req, res) => {
  const rows = await Order.findAll({
    where: { userId: req.userId },
    order: [['id', 'DESC']],
    limit: HISTORY,
  });
  const items = [];
  for (const order of rows) {
    const product = await Product.findByPk(order.productId);
    items.push({
      id: order.id,
      product: product.name,
      quantity: order.quantity,
      amountCents: order.amountCents,
      status: order.status,
      createdAt: order.createdAt,
    });
  }
  res.json({ items });
});

orders.post('/', async (req, res) => {
  const { productId, quantity = 1, paymentMethod } = req.body;
  if (!/^\d{1,18}$/.test(productId) || !paymentMethod || !Number.isInteger(quantity) || quantity < 1) {
    throw new HttpError(400, 'productId, quantity and paymentMethod are required');
  }

  const order = await sequelize.transaction(async (transaction) => {
    const product = await Product.findByPk(productId, { transaction, lock: true });
    if (!product) {
      throw new HttpError(404, 'no such product');
    }
    if (product.stock < quantity) {
      throw new HttpError(409, 'not enough in stock');
    }
    await product.decrement('stock', { by: quantity, transaction });
    const amountCents = product.priceCents * quantity;
    const created = await Order.create(
      { userId: req.userId, productId: product.id, quantity, amountCents },
      { transaction },
    );
    const intent = await charge(created, paymentMethod);
    await created.update({ status: 'charged', paymentIntent: intent.id }, { transaction });
    return created;
  });

  const user = await User.findByPk(req.userId);
  await sendOrderMail(user, order);
  log.info('order placed');
  res.status(201).json({ id: order.id, status: order.status, amountCents: order.amountCents });
});
