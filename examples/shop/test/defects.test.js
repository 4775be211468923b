import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../', import.meta.url);
const table = readFileSync(new URL('DEFECTS.md', root), 'utf8');
const rows = table.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| Defect') && !line.startsWith('|-'));
const PLACE = /`([\w./-]+):(\d+)` `([^`]+)`/g;

test('the table has rows', () => {
  assert.ok(rows.length > 0);
});

for (const row of rows) {
  const name = row.split('|')[1].trim();
  const places = [...row.matchAll(PLACE)];

  test(`${name}: has a place`, () => {
    assert.ok(places.length > 0, 'write places as `file:line` `quoted text`');
    assert.equal(places.length, [...row.matchAll(/`[\w./-]+:\d+`/g)].length, 'a place has no quoted text');
  });

  for (const [, file, line, quote] of places) {
    test(`${name}: ${file}:${line}`, () => {
      const lines = readFileSync(new URL(file, root), 'utf8').split('\n');
      const found = lines.findIndex((text) => text.includes(quote)) + 1;
      const hint = found > 0 ? `it is on line ${found}` : 'the file does not hold it';
      assert.ok(lines[line - 1]?.includes(quote), `want ${JSON.stringify(quote)}: ${hint}`);
    });
  }
}
