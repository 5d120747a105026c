import type { RunnableSpec } from '../../../lib/launch.js';
import type { Spec } from '../../../lib/spec/types.js';
import { applyOciOption } from '../../../lib/spec/validate.js';
import { createSpecOf, specOf } from '../../../lib/specOf.js';
import { checkPlansOf, checkWithReader } from '../plans.js';
import { createSeeds, runSeeds } from '../seeds/options.js';
import { specSeeds } from '../seeds/spec.js';
import { orRefusal, target } from '../target.js';
import { mutated } from '../values.js';

const plain = specOf('box', 'true', [], {});
const made = [
  ...runSeeds.map((options) => () => specOf('box', 'sh', ['-c', 'true'], options)),
  ...createSeeds.map((options) => () => createSpecOf('box', options)),
].flatMap((make) => orRefusal(make) ?? []);

/** What the `oci` option returns, or a config.json says. */
export const specTargets = [
  target('oci-spec', {
    inputs: mutated([...made, ...specSeeds]),
    seeds: [...made, ...specSeeds],
    check: (spec) => {
      const accepted = orRefusal(() => applyOciOption(plain, () => spec as Spec));
      if (accepted?.process !== undefined) checkPlansOf(accepted as RunnableSpec);
    },
    finish: checkWithReader,
  }),
];
