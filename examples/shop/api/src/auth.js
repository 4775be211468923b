import { Router } from 'express';
import { col, fn } from 'sequelize';
import { sequelize } from './db.js';
import { log } from './log.js';
import { User } from './models.js';
import { verifyPassword } from './password.js';
import { closeSession, openSession, requireSession } from './session.js';

export const auth = Router();

auth.post('/login', async (req, res) => {
  const { email, password } = req.body;
  if (typeof email !== 'string' || typeof password !== 'string') {
    res.status(400).json({ error: 'email and password are required' });
    return;
  }
  const user = await User.findOne({
    where: sequelize.where(fn('lower', col('email')), email.toLowerCase()),
  });
  if (!user || !(await verifyPassword(password, user.passwordHash))) {
    res.status(401).json({ error: 'wrong email or password' });
    return;
  }
  const token = await openSession(user.id);
  log.info({ session: token }, 'session opened');
  res.json({ token });
});

auth.post('/logout', requireSession, async (req, res) => {
  await closeSession(req.token);
  res.status(204).end();
});

auth.get('/me', requireSession, async (req, res) => {
  const user = await User.findByPk(req.userId);
  if (!user) {
    res.status(404).json({ error: 'no such user' });
    return;
  }
  res.json({ id: user.id, email: user.email, name: user.name });
});
