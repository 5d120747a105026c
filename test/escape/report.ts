import { type SpawnSyncOptionsWithStringEncoding, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { corpus } from './corpus.js';
import type { Row } from './runner.js';
import { corpusBlock, heading, line, type Pass, withBlock } from './table.js';
import { waiting } from './waiting.js';

/*
 * `npm run test:escape [-- --write] [id…]`: the corpus as this user, for root also as an ordinary
 * one, and nested. Exits with 1 when anything is red. `--write` puts the table into SECURITY.md.
 */
const root = fileURLToPath(new URL('../../../', import.meta.url));
const { asOrdinaryUser } = createRequire(import.meta.url)(join(root, 'scripts/userPass.cjs'));
const ids = process.argv.slice(2).filter((arg) => arg !== '--write');
const isRoot = process.getuid?.() === 0;

interface Ended {
  status: number | null;
  stdout: string;
}

const output: SpawnSyncOptionsWithStringEncoding = {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
};
const command = (at: string, file: string) => [
  process.execPath,
  join(at, 'dist/test/escape', file),
  ...ids,
];
const here = (file: string): Ended => {
  const [node = '', ...args] = command(root, file);
  return spawnSync(node, args, output);
};

function read(name: string, { status, stdout }: Ended): Pass {
  const rows = stdout
    .split('\n')
    .filter((text) => text.startsWith('{'))
    .map((text) => JSON.parse(text) as Row);
  for (const row of rows) console.log(line(row));
  if (status !== 0) throw new Error(`${name}: exit code ${status}`);
  return { name, rows };
}

const steps: readonly (readonly [name: string, run: () => Ended | Promise<Ended>])[] = [
  [isRoot ? 'root' : 'ordinary user', () => here('main.js')],
  ...(isRoot
    ? ([
        ['ordinary user', () => asOrdinaryUser((at: string) => command(at, 'main.js'), output)],
      ] as const)
    : []),
  ['nested', () => here('nested.js')],
];

const passes: Pass[] = [];
for (const [name, run] of steps) {
  console.log(`\n${name}\n${heading}`);
  passes.push(read(name, await run()));
}
for (const { id, waitsFor } of waiting) console.log(`${id.padEnd(14)} waits for ${waitsFor}`);

const red = passes.flatMap(({ name, rows }) =>
  rows.filter(({ result }) => result === 'RED').map(({ id }) => `${name}: ${id}`),
);
const held = passes.map(({ name, rows }) => {
  const count = (oracle: string) => rows.filter((row) => row.oracle === oracle).length;
  return `${name}: ${count('red')} held with a red oracle, ${count('NO ORACLE')} without one`;
});
console.log(
  `\n${[...held, `${red.length} red${red.length > 0 ? `: ${red.join(', ')}` : ''}`].join('\n')}`,
);
if (process.argv.includes('--write')) {
  const file = join(root, 'SECURITY.md');
  writeFileSync(file, withBlock(readFileSync(file, 'utf8'), corpusBlock(corpus, waiting, passes)));
}
process.exitCode = red.length > 0 ? 1 : 0;
