import { constants } from 'node:fs';
import { codeOf } from '../errors.js';
import type { Directory } from './directory.js';
import { HeldPath } from './held.js';
import type { RawEntry } from './stats.js';

const { S_IFMT, S_IFDIR } = constants;

/** What a walk comes across. */
export type Visit =
  /** Anything but a directory. */
  | { kind: 'entry'; parent: Directory; name: Buffer; type: number }
  /** A directory, before what is in it. */
  | { kind: 'enter'; parent: Directory; name: Buffer; directory: Directory }
  /** A directory, after what is in it; it is closed. */
  | { kind: 'leave'; parent: Directory; name: Buffer };

const vanished = new Set(['ENOENT']);
const replaced = new Set(['ENOTDIR', 'ELOOP']);

/**
 * A directory to go down into, or what a guest has put in its place meanwhile, or nothing.
 */
async function look(parent: Directory, entry: RawEntry): Promise<Directory | number | undefined> {
  try {
    const type = entry.type === 0 ? (await parent.lstat(entry.name)).mode & S_IFMT : entry.type;
    if (type !== S_IFDIR) return type;
    return await parent.enter(entry.name);
  } catch (error) {
    if (vanished.has(codeOf(error))) return undefined;
    if (!replaced.has(codeOf(error))) throw error;
  }
  const type = (await parent.lstat(entry.name)).mode & S_IFMT;
  return type === S_IFDIR ? parent.enter(entry.name) : type;
}

/**
 * Everything below a directory, depth first, with flat memory however deep. No symbolic link is
 * followed. Closes `top` at its end, whatever that is.
 * @param restart a directory that had to be closed is listed from its start again: for a walk that
 *   removes what it finds
 * @throws SyscallError ESTALE when a directory on the way up has been moved
 */
export async function* walk(top: Directory, restart = false): AsyncGenerator<Visit, void> {
  const path = new HeldPath(top);
  const names: Buffer[] = [];
  let left: { parent: Directory; name: Buffer } | undefined;
  try {
    for (;;) {
      const parent = path.last;
      const entry = await parent.next();
      if (entry === undefined) {
        const name = names.pop();
        if (name === undefined) return;
        (await path.pop()).close();
        left = { parent: path.last, name };
        yield { kind: 'leave', ...left };
        continue;
      }
      const { name } = entry;
      // Listed again from the start, before the caller could remove it. Only there: below a
      // neighbour, the same name is another directory's.
      if (restart && left?.parent === parent && left.name.equals(name)) continue;
      if (!restart) path.from = entry.next;
      const found = await look(parent, entry);
      if (typeof found === 'number') yield { kind: 'entry', parent, name, type: found };
      else if (found !== undefined) {
        // First into the path, so that it is closed whatever the caller does.
        path.push(found);
        names.push(name);
        yield { kind: 'enter', parent, name, directory: found };
      }
    }
  } finally {
    path.close();
  }
}
