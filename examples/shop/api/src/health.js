import { Router } from 'express';
import { sequelize } from './db.js';
import { redis } from './session.js';

export const health = Router();

health.get('/healthz', (req, res) => {
  res.json({ status: 'ok' });
});

health.get('/readyz', async (req, res) => {
  try {
    await sequelize.query('SELECT 1');
    await redis.ping();
    res.json({ status: 'ready' });
  } catch (err) {
    res.status(503).json({ status: 'not ready', error: err.message });
  }
});
