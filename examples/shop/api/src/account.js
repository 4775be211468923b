import { Router } from 'express';
import { User } from './models.js';
import { requireSession } from './session.js';

const PROFILE = ['id', 'email', 'name', 'points', 'createdAt'];

export const account = Router();

account.use(requireSession);

account.get('/', async (req, res) => {
  const profile = User.findByPk(req.userId, { attributes: PROFILE });
  res.json(profile);
});

account.patch('/', async (req, res) => {
  const { name } = req.body;
  if (typeof name !== 'string' || name.trim() === '') {
    res.status(400).json({ error: 'name is required' });
    return;
  }
  await User.update({ name: name.trim() }, { where: { id: req.userId } });
  res.status(204).end();
});
