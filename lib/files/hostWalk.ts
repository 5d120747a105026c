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
  unlock: boolean,
): Promise<HostDirectory | BigIntStats | undefined> {
  try {
    const stats = await parent.lstat(name);
    if (!stats.isDirectory()) return stats;
    if (unlock && (stats.mode & 0o700n) !== 0o700n) await parent.unlock(name);
    return await parent.enter(name);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) !== 'ENOTDIR' && codeOf(error) !== 'ELOOP') throw error;
    return parent.lstat(name);
  }
}

/**
 * Everything below a directory of the host, depth first, however deep. No symbolic link is
 * followed. Closes `top` at its end, whatever that is.
 * @param unlock gives their owner what it takes to empty the directories: for a walk that removes
 */
export async function* hostWalk(
  top: HostDirectory,
  unlock = false,
): AsyncGenerator<HostVisit, void> {
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
      const found = await look(parent, name, unlock);
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

/**
 * Removes a tree of the host, or a file; no symbolic link is followed. A copy has the modes of its
 * source: who is not root may first have to give itself what removing takes.
 */
export async function removeHostTree(parent: HostDirectory, name: Buffer): Promise<void> {
  const top = await look(parent, name, true);
  if (top === undefined || !('enter' in top)) return parent.unlink(name);
  for await (const visit of hostWalk(top, true)) {
    if (visit.kind === 'entry') await visit.parent.unlink(visit.name);
    else if (visit.kind === 'leave') await visit.parent.rmdir(visit.name);
  }
  return parent.rmdir(name);
}
