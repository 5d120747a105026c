import { release } from 'node:os';
import type { ContainerOptions } from '../options.js';
import type { SpecSeccomp } from '../spec/types.js';
import type { Machine } from './abis.js';
import { defaultProfile } from './default.js';
import { resolveDockerProfile } from './profile.js';

/**
 * The OCI object for the `seccomp` option: our default profile, or the given OCI or docker profile
 * reduced to the rules that count for this machine, kernel and bounding set.
 * @throws InvalidSpecError, UnsupportedError as `resolveDockerProfile`
 */
export function seccompOption(
  profile: Exclude<NonNullable<ContainerOptions['seccomp']>, 'unconfined'>,
  capabilities: readonly string[],
): SpecSeccomp {
  if (profile === 'default') return defaultProfile({ capabilities });
  const arch = process.arch as Machine;
  return resolveDockerProfile(profile, { arch, capabilities, kernelVersion: release() });
}
