import { createHmac, randomBytes } from 'node:crypto';
import Redis from 'ioredis';

const TTL_SECONDS = 12 * 60 * 60;
const secret = process.env.SESSION_SECRET;
if (!secret) {
  throw new Error('SESSION_SECRET is not set');
}

export const redis = new Redis(process.env.REDIS_URL, {
  lazyConnect: true,
  maxRetriesPerRequest: 2,
});

function key(token) {
  const digest = createHmac('sha256', secret).update(token).digest('hex');
  return `session:${digest}`;
}

export async function openSession(userId) {
  const token = randomBytes(32).toString('base64url');
  await redis.set(key(token), JSON.stringify({ userId }), 'EX', TTL_SECONDS);
  return token;
}

export async function readSession(token) {
  const stored = await redis.get(key(token));
  return stored ? JSON.parse(stored) : null;
}

export async function closeSession(token) {
  await redis.del(key(token));
}

export async function requireSession(req, res, next) {
  const [scheme, token] = (req.get('authorization') ?? '').split(' ');
  const session = scheme === 'Bearer' && token ? await readSession(token) : null;
  if (!session) {
    res.status(401).json({ error: 'not signed in' });
    return;
  }
  req.userId = session.userId;
  req.token = token;
  next();
}
