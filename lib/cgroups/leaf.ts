import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StateError } from '../errors.js';
import { detectCgroups, directoryOf, readWords } from './detect.js';
import { leafName } from './place.js';
import { forbidden, hint, unsupported } from './unavailable.js';

/**
 * On cgroup v2, moves this process (all its threads, and nothing else) from its own cgroup into a
 * new leaf `ringfort-self` of it, and enables every available controller for the children of the
 * cgroup it has left, so that containers with limits can be made there ("no internal processes",
 * cgroup-v2.rst). A side effect on the host that only the user can ask for: call it once, at start,
 * before the first container. Does nothing in the root cgroup, which needs no leaf, nor when it has
 * been done already.
 * @returns the cgroup that containers go below, as in /proc/self/cgroup
 * @throws UnsupportedError without cgroup v2; StateError (ERR_CGROUP_BUSY) when other processes are
 * in our cgroup; PermissionError when it is not delegated to us. Nothing has moved then.
 */
export function moveToLeafCgroup(): string {
  const { unified } = detectCgroups();
  const dir = unified === undefined ? undefined : directoryOf(unified, unified.own);
  if (unified === undefined || dir === undefined) {
    throw unsupported('moveToLeafCgroup: no cgroup v2 tree shows our own cgroup', {
      hint: hint('missing'),
    });
  }
  if (unified.own.endsWith(`/${leafName}`))
    return unified.own.slice(0, -leafName.length - 1) || '/';
  if (readWords(join(dir, 'cgroup.type')).length === 0) return unified.own;
  refuseOthers(dir);
  const leaf = join(dir, leafName);
  try {
    mkdirSync(leaf, { recursive: true });
    writeFileSync(join(leaf, 'cgroup.procs'), String(process.pid));
    enableAll(dir, unified.controllers);
  } catch (cause) {
    undo(dir, leaf);
    throw forbidden(`moveToLeafCgroup: ${dir} is not ours to divide`, {
      path: dir,
      hint: hint('unified'),
      cause,
    });
  }
  return unified.own;
}

function refuseOthers(dir: string): void {
  const own = String(process.pid);
  const others = readFileSync(join(dir, 'cgroup.procs'), 'utf8')
    .split('\n')
    .filter((pid) => pid !== '' && pid !== own);
  if (others.length === 0) return;
  const message = `moveToLeafCgroup: ${dir} holds other processes: ${others.slice(0, 8).join(', ')}`;
  throw new StateError('ERR_CGROUP_BUSY', message, {
    phase: 'cgroup',
    path: dir,
    hint: 'call it before anything else is started, in a cgroup of its own',
  });
}

function enableAll(dir: string, controllers: readonly string[]): void {
  if (controllers.length === 0) return;
  const words = controllers.map((name) => `+${name}`).join(' ');
  writeFileSync(join(dir, 'cgroup.subtree_control'), words);
}

function undo(dir: string, leaf: string): void {
  try {
    writeFileSync(join(dir, 'cgroup.procs'), String(process.pid));
    rmdirSync(leaf);
  } catch {
    // Never moved, or may not move back: the caller is told of the first failure either way.
  }
}
