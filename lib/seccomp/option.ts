import { release } from 'node:os';
import type { ContainerOptions } from '../options.js';
import type { SpecSeccomp } from '../spec/types.js';
import type { Machine } from './abis.js';
import { defaultProfile } from './default.js';
import { resolveDockerProfile } from './profile.js';

/**
 * Our default profile by bounding set: what was compiled of it is found by the object (`filterOf`), and
 * a container that lives keeps its spec. Frozen, because it is in many specs.
 */
const defaults = new Map<string, SpecSeccomp>();
/** Sets of capabilities that a process gives to its containers are few. */
const maxDefaults = 32;

function sharedDefault(capabilities: readonly string[]): SpecSeccomp {
  const key = [...capabilities].sort().join();
  let profile = defaults.get(key);
  if (profile === undefined) {
    profile = freeze(defaultProfile({ capabilities }));
    if (defaults.size === maxDefaults) defaults.clear();
    defaults.set(key, profile);
  }
  return profile;
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const each of Object.values(value)) freeze(each);
  return Object.freeze(value);
}

/**
 * The OCI object for the `seccomp` option: our default profile, or the given OCI or docker profile
 * reduced to the rules that count for this machine, kernel and bounding set.
 * @throws InvalidSpecError, UnsupportedError as `resolveDockerProfile`
 */
export function seccompOption(
  profile: Exclude<NonNullable<ContainerOptions['seccomp']>, 'unconfined'>,
  capabilities: readonly string[],
): SpecSeccomp {
  if (profile === 'default') return sharedDefault(capabilities);
  const arch = process.arch as Machine;
  return resolveDockerProfile(profile, { arch, capabilities, kernelVersion: release() });
}
