import { app } from './app.js';
import { sequelize } from './db.js';
import { log } from './log.js';
import { redis } from './session.js';

const port = Number(process.env.PORT ?? 3000);

async function connect(what, open) {
  try {
    await open();
  } catch (err) {
    const reason = err.parent?.errors?.[0]?.message ?? err.message;
    console.error(`api: no connection to ${what}: ${reason} (locally: docker compose up -d db redis)`);
    process.exit(1);
  }
}

function openRedis() {
  return new Promise((done, fail) => {
    redis.once('error', fail);
    redis.connect().then(done, fail);
  });
}

await connect('PostgreSQL', () => sequelize.authenticate());
await connect('Redis', openRedis);
redis.on('error', (err) => log.error({ reason: err.message }, 'redis'));

const server = app.listen(port, () => log.info({ port, env: process.env.NODE_ENV }, 'listening'));

async function stop(signal) {
  log.info({ signal }, 'stopping');
  server.close(async () => {
    await sequelize.close();
    redis.disconnect();
    process.exit(0);
  });
  server.closeIdleConnections();
}

process.once('SIGTERM', stop);
process.once('SIGINT', stop);
