import { Router } from 'express';
import { HttpError } from './error.js';
import { Product } from './models.js';

const PAGE_SIZE = 24;
const MAX_PAGE_SIZE = 100;

export const products = Router();

products.get('/', async (req, res) => {
  const page = Math.max(1, Number(req.query.page) || 1);
  const size = Math.min(MAX_PAGE_SIZE, Math.max(1, Number(req.query.size) || PAGE_SIZE));
  const items = await Product.findAll({
    order: [['id', 'ASC']],
    limit: size,
    offset: (page - 1) * size,
  });
  res.json({ page, items });
});

products.param('id', (req, res, next, id) => {
  if (!/^\d{1,18}$/.test(id)) {
    throw new HttpError(404, 'no such product');
  }
  next();
});

products.get('/:id', async (req, res) => {
  const product = await Product.findByPk(req.params.id);
  if (!product) {
    throw new HttpError(404, 'no such product');
  }
  res.json(product);
});
