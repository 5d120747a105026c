import { afterAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { specOf } from '../../lib/specOf.js';
import { fixedFacts } from '../helpers/facts.js';
import { linux, suite } from '../helpers/needs.js';
import { planOf } from './plans.js';
import { removeScratch } from './scratch.js';
import { runSeeds } from './seeds/options.js';
import { targets } from './targets/index.js';

/*
 * `npm run fuzz` tries these for as long as one likes; here what once went wrong is tried again,
 * and a few inputs that are always the same.
 */

/** It needs a launcher under sanitizers, which `npm run fuzz` builds. */
const here = targets.filter(({ name }) => name !== 'launcher-protocol');

afterAll(removeScratch);

suite('what is fuzzed', [linux], () => {
  test.each(here.map((target) => [target.name, target] as const))('%s', async (_, target) => {
    for (const input of target.seeds) await target.check(input);
    const property = fc.asyncProperty(target.inputs, async (input) => {
      await target.check(input);
    });
    const { failed, counterexample, errorInstance } = await fc.check(property, {
      seed: 4711,
      numRuns: 40,
    });
    expect([failed, counterexample, errorInstance]).toEqual([false, null, null]);
  });

  test('what fuzzing starts from gets as far as a plan', () => {
    const plans = runSeeds.map(
      (options) => () => planOf(specOf('box', 'sh', [], options), fixedFacts, true),
    );
    const ops = new Set<string>();
    for (const [i, plan] of plans.entries()) {
      if ('apparmorProfile' in (runSeeds[i] as object)) expect(plan).toThrow('apparmor');
      else for (const { op } of plan().child) ops.add(op);
    }
    expect(ops.size).toBeGreaterThan(30);
  });
});
