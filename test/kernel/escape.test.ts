import { execFile } from 'node:child_process';
import { readFileSync, writeSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Bench } from '../escape/bench.js';
import { corpus } from '../escape/corpus.js';
import { type Row, runCheck } from '../escape/runner.js';
import { cgroups, linux, suite } from '../helpers/needs.js';
import { staticCompiler } from '../helpers/probe.js';

const security = readFileSync(
  fileURLToPath(new URL('../../../SECURITY.md', import.meta.url)),
  'utf8',
);

/** Items that SECURITY.md shows with an oracle here; undefined where its kernel is another. */
function withOracle(place: 'root' | 'user' | 'nested'): Set<string> | undefined {
  const version = /on Linux (\d+\.\d+) /.exec(security)?.[1];
  if (version === undefined || !release().startsWith(`${version}.`)) return undefined;
  const column = { root: 5, user: 6, nested: 7 }[place];
  const rows = security.split('\n').map((line) => line.split(' | '));
  const held = rows.filter((cells) => cells[column - 1]?.replace(/ \|$/, '') === 'held');
  return new Set(held.map(([id = '']) => id.slice('| '.length)));
}

/** Whose oracle has been lost. */
function lost(place: 'root' | 'user' | 'nested', without: readonly string[]): string[] {
  const known = withOracle(place);
  return without.filter((id) => known?.has(id));
}

suite('the escape corpus', [linux, cgroups, staticCompiler], () => {
  let bench: Bench;
  beforeAll(() => {
    bench = new Bench();
  });
  afterAll(() => {
    bench.close();
    // Green in Jest's eyes: said so that nobody takes them for shown.
    if (unshown.length > 0) writeSync(2, `NO ORACLE here: ${unshown.join(', ')}\n`);
  });

  const red = new Set<string>();
  const without: string[] = [];
  const unshown: string[] = [];
  const here = process.getuid?.() === 0 ? 'root' : 'user';
  // One suite for each, so that what it needs here is asked and said one by one.
  for (const check of corpus) {
    suite(check.id, [...(check.needs ?? [])], () => {
      test(`${check.attack}: ${check.walls}`, async () => {
        const { result, oracle, why } = await runCheck(check, bench);
        if (oracle === 'red') red.add(check.id);
        else unshown.push(check.id);
        // What a v1 cgroup or another program of the user's has taken away is no loss of ours.
        if (oracle !== 'red' && !why?.endsWith('without any container')) without.push(check.id);
        expect({ result, oracle, why }).toMatchObject({
          result: 'held',
          oracle: expect.stringMatching(/^(red|NO ORACLE)$/),
        });
      });
    });
  }

  test('those that have an oracle here, as SECURITY.md says, have not lost it', () => {
    expect(lost(here, without)).toEqual([]);
    expect(red.size).toBeGreaterThan(80);
  });

  // In parts, because each test has the one limit of time.
  test.each([0, 1, 2, 3])('inside a container of our own, part %i', async (part) => {
    const nested = fileURLToPath(new URL('../escape/nested.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [nested, `--part=${part}/4`]);
    const rows = stdout
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Row);
    const ids = corpus.map(({ id }) => id).filter((_, i) => i % 4 === part);
    expect(rows.map(({ id }) => id)).toEqual(ids);
    expect(rows.filter(({ result }) => result === 'RED')).toEqual([]);
    expect(rows.filter(({ oracle }) => oracle === 'red').length).toBeGreaterThan(10);
    const noOracle = rows.filter(({ result, oracle }) => result === 'held' && oracle !== 'red');
    if (here === 'root')
      expect(
        lost(
          'nested',
          noOracle.map(({ id }) => id),
        ),
      ).toEqual([]);
  });
});
