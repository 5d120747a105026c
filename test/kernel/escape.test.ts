import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Bench } from '../escape/bench.js';
import { corpus } from '../escape/corpus.js';
import { runCheck } from '../escape/runner.js';
import { cgroups, linux, suite } from '../helpers/needs.js';
import { staticCompiler } from '../helpers/probe.js';

suite('the escape corpus', [linux, cgroups, staticCompiler], () => {
  let bench: Bench;
  beforeAll(() => {
    bench = new Bench();
  });
  afterAll(() => bench.close());

  // One suite for each, so that what it needs here is asked and said one by one.
  for (const check of corpus) {
    suite(check.id, [...(check.needs ?? [])], () => {
      test(`${check.attack}: ${check.walls}`, async () => {
        const { result, oracle, why } = await runCheck(check, bench);
        expect({ result, oracle, why }).toMatchObject({
          result: 'held',
          oracle: expect.stringMatching(/^(red|NO ORACLE)$/),
        });
      });
    });
  }
});
