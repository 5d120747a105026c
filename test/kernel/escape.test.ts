import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Bench } from '../escape/bench.js';
import { corpus } from '../escape/corpus.js';
import { type Row, runCheck } from '../escape/runner.js';
import { cgroups, linux, suite } from '../helpers/needs.js';
import { staticCompiler } from '../helpers/probe.js';

suite('the escape corpus', [linux, cgroups, staticCompiler], () => {
  let bench: Bench;
  beforeAll(() => {
    bench = new Bench();
  });
  afterAll(() => bench.close());

  const red = new Set<string>();
  // One suite for each, so that what it needs here is asked and said one by one.
  for (const check of corpus) {
    suite(check.id, [...(check.needs ?? [])], () => {
      test(`${check.attack}: ${check.walls}`, async () => {
        const { result, oracle, why } = await runCheck(check, bench);
        if (oracle === 'red') red.add(check.id);
        expect({ result, oracle, why }).toMatchObject({
          result: 'held',
          oracle: expect.stringMatching(/^(red|NO ORACLE)$/),
        });
      }, 300_000);
    });
  }

  test('most have an oracle here: it does not get lost unseen', () => {
    expect(red.size).toBeGreaterThan(80);
  });

  test('inside a container of our own', async () => {
    const nested = fileURLToPath(new URL('../escape/nested.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [nested]);
    const rows = stdout
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Row);
    expect(rows.map(({ id }) => id)).toEqual(corpus.map(({ id }) => id));
    expect(rows.filter(({ result }) => result === 'RED')).toEqual([]);
    expect(rows.filter(({ oracle }) => oracle === 'red').length).toBeGreaterThan(50);
  }, 600_000);
});
