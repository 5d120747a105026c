import fc from 'fast-check';
import type { RunnableSpec } from '../../../lib/launch.js';
import type { CreateOptions, RunOptions } from '../../../lib/options.js';
import { checkUpdate } from '../../../lib/spec/checks.js';
import type { Program } from '../../../lib/spec/program.js';
import { validateSpec } from '../../../lib/spec/validate.js';
import { createSpecOf, programSpecOf, specOf } from '../../../lib/specOf.js';
import { checkPlansOf, checkProgramPlan, checkWithReader } from '../plans.js';
import { createSeeds, programSeeds, runSeeds, updateSeeds } from '../seeds/options.js';
import { orRefusal, target } from '../target.js';
import { mutated } from '../values.js';

/** What calls of the library are given. */
interface Call {
  file: unknown;
  args: unknown;
  options: unknown;
}

function calls(seeds: readonly object[]) {
  const whole = seeds.map((options) => ({ file: 'sh', args: ['-c', 'true'], options }));
  return { inputs: mutated(whole) as fc.Arbitrary<Call>, seeds: whole };
}

/** A spec that the library has made itself is one that it would accept. */
function checkSpec(spec: RunnableSpec | undefined): void {
  if (spec === undefined) return;
  validateSpec(spec);
  checkPlansOf(spec);
}

const container = specOf('box', 'sleep', ['60'], {});

/** What `run`, `createContainer`, `exec`, `spawn` and `update` are given. */
export const optionTargets = [
  target('run-options', {
    ...calls(runSeeds),
    check: ({ file, args, options }) =>
      checkSpec(
        orRefusal(() => specOf('box', file as string, args as string[], options as RunOptions)),
      ),
    finish: checkWithReader,
  }),
  target('create-options', {
    ...calls(createSeeds),
    check: ({ options }) =>
      checkSpec(orRefusal(() => createSpecOf('box', options as CreateOptions))),
    finish: checkWithReader,
  }),
  target('program-options', {
    inputs: fc.tuple(calls(programSeeds).inputs, fc.constantFrom('exec', 'spawn')),
    seeds: calls(programSeeds).seeds.map((call): [Call, 'exec'] => [call, 'exec']),
    check: ([call, kind]) => {
      const spec = orRefusal(() => programSpecOf(container, call as Program, kind as 'exec'));
      if (spec !== undefined) checkProgramPlan(spec);
    },
    finish: checkWithReader,
  }),
  target('update-options', {
    inputs: mutated(updateSeeds),
    seeds: updateSeeds,
    check: (options) => orRefusal(() => checkUpdate(options)),
  }),
];
