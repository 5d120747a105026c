import type { BigIntStats } from 'node:fs';
import { codeOf } from '../errors.js';
import { HeldPath } from './held.js';
import type { HostDirectory } from './hostDirectory.js';

/** What a walk over a tree of the host comes across. */
export type HostVisit =
  | { kind: 'entry'; parent: HostDirectory; name: Buffer; stats: BigIntStats }
  | { kind: 'enter'; parent: HostDirectory; name: Buffer; directory: HostDirectory }
  | { kind: 'leave'; parent: HostDirectory; name: Buffer };

/** Opens a directory, or says what has come in its place; undefined when it is gone. */
async function look(
  parent: HostDirectory,
  name: Buffer,
): Promise<HostDirectory | BigIntStats | undefined> {
  try {
    const stats = await parent.lstat(name);
    return stats.isDirectory() ? await parent.enter(name) : stats;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) !== 'ENOTDIR' && codeOf(error) !== 'ELOOP') throw error;
    return parent.lstat(name);
  }
}

/**
 * Everything below a directory of the host, depth first, however deep. No symbolic link is
 * followed. Closes `top` at its end, whatever that is.
 */
export async function* hostWalk(top: HostDirectory): AsyncGenerator<HostVisit, void> {
  const path = new HeldPath(top);
  const names: Buffer[] = [];
  const left: Buffer[][] = [];
  try {
    left.push(await top.list());
    for (;;) {
      const parent = path.last;
      const name = left.at(-1)?.pop();
      if (name === undefined) {
        left.pop();
        const done = names.pop();
        if (done === undefined) return;
        (await path.pop()).close();
        yield { kind: 'leave', parent: path.last, name: done };
        continue;
      }
      const found = await look(parent, name);
      if (found === undefined) continue;
      if (!('enter' in found)) {
        yield { kind: 'entry', parent, name, stats: found };
        continue;
      }
      path.push(found);
      names.push(name);
      left.push(await found.list());
      yield { kind: 'enter', parent, name, directory: found };
    }
  } finally {
    path.close();
  }
}

/** Removes a tree of the host, or a file; no symbolic link is followed. */
export async function removeHostTree(parent: HostDirectory, name: Buffer): Promise<void> {
  if (!(await parent.lstat(name)).isDirectory()) return parent.unlink(name);
  for await (const visit of hostWalk(await parent.enter(name))) {
    if (visit.kind === 'entry') await visit.parent.unlink(visit.name);
    else if (visit.kind === 'leave') await visit.parent.rmdir(visit.name);
  }
  return parent.rmdir(name);
}
