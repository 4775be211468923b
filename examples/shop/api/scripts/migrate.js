import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import pg from 'pg';

const folder = process.argv[2] ?? '../migrations';
const client = new pg.Client({ connectionString: process.env.DATABASE_URL });

try {
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS applied_files (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())');
  for (const file of (await readdir(folder)).filter((f) => f.endsWith('.sql')).sort()) {
    await apply(`${basename(folder)}/${file}`, await readFile(join(folder, file), 'utf8'));
  }
} catch (err) {
  console.error(`migrate: ${err.errors?.[0]?.message ?? err.message}`);
  process.exitCode = 1;
} finally {
  await client.end();
}

async function apply(name, text) {
  const { rowCount } = await client.query('SELECT 1 FROM applied_files WHERE name = $1', [name]);
  if (rowCount > 0) {
    return;
  }
  await client.query('BEGIN');
  try {
    await client.query(text);
    await client.query('INSERT INTO applied_files (name) VALUES ($1)', [name]);
    await client.query('COMMIT');
    console.log(`applied ${name}`);
  } catch (err) {
    await client.query('ROLLBACK');
    throw new Error(`${name}: ${err.message}`);
  }
}
