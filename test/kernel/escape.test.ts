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
      });
    });
  }

  test('most have an oracle here: it does not get lost unseen', () => {
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
  });
});
