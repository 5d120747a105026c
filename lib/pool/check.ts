import { invalid } from '../errors.js';
import { callRefusedToRelease } from '../policy/releaseCalls.js';
import { compileSeccomp } from '../seccomp/compile.js';
import { poolContainerOptions, poolOptions } from '../spec/rules/options.js';
import { optionsPlace } from '../spec/rules/place.js';
import { object } from '../spec/rules/rule.js';
import { abortSignal } from '../spec/rules/runOptions.js';
import { createSpecOf, newId } from '../specOf.js';
import type { AcquireOptions, PoolContainerOptions, PoolOptions } from './options.js';

/**
 * Checks what a pool is made from, before anything is created.
 * @throws InvalidSpecError, UnsupportedError as `createContainer`; InvalidSpecError for what cannot
 * be shared, and for a filter that would keep a parked program from its arguments
 */
export function checkPool(container: PoolContainerOptions, options: PoolOptions): void {
  poolOptions(options, optionsPlace);
  const { min = 1, max = 16 } = options;
  if (min > max) throw invalid('min', `at most max, ${max}`, min);
  poolContainerOptions(container, optionsPlace);
  const { rootfs } = container;
  if (typeof rootfs === 'object' && rootfs.upper !== undefined) {
    const expected = 'nothing in a pool: a kept layer is one container’s at a time';
    throw invalid('rootfs.upper', expected, rootfs.upper);
  }
  const { seccomp } = createSpecOf(newId(), container).linux;
  if (seccomp === undefined) return;
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
  const refused = callRefusedToRelease(compileSeccomp(seccomp, { arch }).filter, arch);
  if (refused === undefined) return;
  throw invalid(
    'seccomp',
    `a profile that allows ${refused}, which a pooled program needs to start`,
  );
}

const acquireRule = object<AcquireOptions>({ signal: abortSignal });

/** @throws InvalidSpecError for what `acquire` does not take */
export function checkAcquire(options: AcquireOptions): void {
  acquireRule(options, optionsPlace);
}
