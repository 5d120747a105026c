import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownCgroups } from './leaks.js';

/** Makes a cgroup by that name in every tree where this user may make one. */
export function makeInEveryTree(name: string): string[] {
  const paths = ownCgroups().map((parent) => join(parent, name));
  return paths.filter((path) => {
    try {
      mkdirSync(path);
      return true;
    } catch {
      return false; // not delegated to this user
    }
  });
}

/** Moves a process and tells whether that could be done: v1's cpuset wants its settings first. */
export function moveTo(cgroup: string, pid: number): boolean {
  try {
    writeFileSync(join(cgroup, 'cgroup.procs'), `${pid}`);
    return true;
  } catch {
    return false;
  }
}
