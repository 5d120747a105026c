import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { corpus } from '../escape/corpus.js';
import { fixedCells, waitingCells } from '../escape/table.js';
import { waiting } from '../escape/waiting.js';

const security = readFileSync(
  fileURLToPath(new URL('../../../SECURITY.md', import.meta.url)),
  'utf8',
);

/** Numbers of the catalogue, shared/security.md section 2. */
const catalogue = [
  ...['01', '03', '04', '05', '07', '08', '10', '11', '12', '13', '14', '16', '17', '18', '20'],
  ...['21', '22', '23', '24', '25', '26', '28', '29', '31', '32', '33', '34', '36', '37', '38'],
  ...['39', '40', '41', '42', '43', '44', '45', '46', '48', '49', '50', '51', '52', '54', '55'],
  ...['56', '57', '59', '61', '62', '63', '64', '65', '66', '67', '68', '69', '70'],
];

/** Lines of SECURITY.md with the cells of these items at their beginning. */
function missing(cells: readonly string[]): string[] {
  const lines = security.split('\n');
  return cells.filter((each) => !lines.some((line) => line.startsWith(each)));
}

test('every item has a name of its own', () => {
  const ids = [...corpus, ...waiting].map(({ id }) => id);
  expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
});

test('each number of the catalogue is checked, or waits for something', () => {
  const numbers = new Set([...corpus, ...waiting].map(({ id }) => id.split(/[-:]/)[0]));
  expect(catalogue.filter((number) => !numbers.has(number))).toEqual([]);
});

test('SECURITY.md has the table of the corpus: npm run test:escape -- --write', () => {
  const block = security.slice(security.indexOf('<!-- corpus'), security.indexOf('<!-- end of'));
  const rows = block.split('\n').filter((line) => /^\| (r-|\d\d)/.test(line));
  expect(missing(corpus.map(fixedCells))).toEqual([]);
  expect(missing(waiting.map(waitingCells))).toEqual([]);
  expect(rows).toHaveLength(corpus.length + waiting.length);
});

test('nothing in it is red', () => {
  expect(security).not.toContain('**RED**');
});
