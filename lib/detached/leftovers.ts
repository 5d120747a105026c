import { statSync } from 'node:fs';
import type { CgroupPlan } from '../cgroups/index.js';
import { removeLeft } from '../host/leftCgroup.js';
import { bootId } from './bootId.js';

/** A cgroup by what no other will ever be in this boot; numbers as text, for JSON. */
export interface CgroupIdentity {
  path: string;
  inode: string;
  device: string;
}

function identify(path: string): CgroupIdentity[] {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return [];
  return [{ path, inode: String(stats.ino), device: String(stats.dev) }];
}

/** The cgroups of a container that runs. */
export function identifyCgroups({ paths }: CgroupPlan): CgroupIdentity[] {
  const all = [...(paths.unified === undefined ? [] : [paths.unified]), ...Object.values(paths.v1)];
  return [...new Set(all)].flatMap(identify);
}

/**
 * Ends and removes what a monitor that was killed could not: its guests are dead with it, unless one
 * of them has seen to it that it is not (PR_SET_PDEATHSIG, prctl(2)), or is frozen. Only the very
 * cgroups that were the container's are touched.
 * @returns whether nothing is left of them
 */
export function removeLeftovers(state: { bootId: string; cgroups: CgroupIdentity[] }): boolean {
  if (state.bootId !== bootId()) return true;
  return state.cgroups
    .map(({ path, inode, device }) =>
      removeLeft({ path, made: { inode: BigInt(inode), device: BigInt(device) } }),
    )
    .every(Boolean);
}
