import { existsSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupPlan } from '../cgroups/index.js';
import { bootId } from './bootId.js';

/** A cgroup by what no other will ever be in this boot. */
export interface CgroupIdentity {
  path: string;
  inode: string;
}

function inodeOf(path: string): string | undefined {
  try {
    return String(statSync(path, { bigint: true }).ino);
  } catch {
    return undefined;
  }
}

/** The cgroups of a container that runs. */
export function identifyCgroups({ paths }: CgroupPlan): CgroupIdentity[] {
  const all = [...(paths.unified === undefined ? [] : [paths.unified]), ...Object.values(paths.v1)];
  return [...new Set(all)].flatMap((path) => {
    const inode = inodeOf(path);
    return inode === undefined ? [] : [{ path, inode }];
  });
}

/** Removes a cgroup and those below it; the kernel refuses those that are not empty. */
function removeTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(path, entry.name));
  rmdirSync(path);
}

/**
 * Ends and removes what a monitor that was killed could not: its guests are dead with it, unless one
 * of them has seen to it that it is not (PR_SET_PDEATHSIG, prctl(2)). Only the very cgroups that
 * were the container's are touched.
 * @returns whether nothing is left of them
 */
export function removeLeftovers(state: { bootId: string; cgroups: CgroupIdentity[] }): boolean {
  if (state.bootId !== bootId()) return true;
  const left = state.cgroups.filter(({ path, inode }) => inodeOf(path) === inode);
  for (const { path } of left) {
    const kill = join(path, 'cgroup.kill');
    if (existsSync(kill)) attempt(() => writeFileSync(kill, '1'));
  }
  return left.map(({ path }) => attempt(() => removeTree(path))).every((done) => done);
}

function attempt(what: () => void): boolean {
  try {
    what();
    return true;
  } catch {
    // Busy while something in it is dying, or gone.
    return false;
  }
}
