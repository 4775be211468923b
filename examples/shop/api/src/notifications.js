import { Router } from 'express';
import { QueryTypes } from 'sequelize';
import { sequelize } from './db.js';
import { requireSession } from './session.js';

const UNREAD = `
  SELECT id, body, created_at AS "createdAt"
    FROM notifications
   WHERE user_id = $1 AND read_at IS NULL
   ORDER BY id DESC
   LIMIT 20`;

export const notifications = Router();

notifications.use(requireSession);

notifications.get('/', async (req, res) => {
  const items = await sequelize.query(UNREAD, {
    bind: [req.userId],
    type: QueryTypes.SELECT,
  });
  res.json({ items });
});
