import { hashPassword } from '../src/password.js';

const password = process.argv[2];
if (!password) {
  console.error('usage: node scripts/hash-password.js PASSWORD');
  process.exit(2);
}
console.log(await hashPassword(password));
