import { planOf } from './launch.js';
import type { RunOptions } from './options.js';
import { describePlan } from './plan/describe.js';
import { newId, specOf } from './specOf.js';

/**
 * What `run(file, args, options)` would ask of the kernel, step by step, as text. Nothing is
 * created; the launcher is started, because what it may do decides the plan.
 * @throws the errors that `run` throws before anything is created
 */
export async function explain(
  file: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<string> {
  const id = newId();
  return describePlan(await planOf({ id, spec: specOf(id, file, args, options) }));
}
