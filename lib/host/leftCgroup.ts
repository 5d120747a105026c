import { constants, existsSync, lstatSync, readdirSync, rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { killMember, membersOf } from '../cgroups/index.js';
import { AT_FDCWD, FsMagic, Resolve } from '../sys/constants.js';
import { close, fstatfsMagic, openat2, writeFile } from '../sys/index.js';
import type { Identity, JournalEntry } from './journal.js';

/** A name that `chooseCgroup` makes of a random id; nobody else's cgroup has it. */
const randomName = /^ringfort-[0-9a-f]{12}$/;

/**
 * Removes a cgroup that a dead launcher has left, with all that is in it.
 * @returns whether nothing is left to do: it is gone, or what has that path now is not ours
 */
export function removeLeft(entry: JournalEntry): boolean {
  let parent: number;
  try {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    parent = openat2(AT_FDCWD, dirname(entry.path), {
      flags,
      resolve: Resolve.RESOLVE_NO_SYMLINKS,
    });
  } catch (error) {
    return isGone(entry.path, error);
  }
  try {
    // By descriptor, so that all of it happens below the directory that was looked at.
    const path = join(`/proc/self/fd/${parent}`, basename(entry.path));
    return isCgroupFs(parent) ? removeBelow(path, entry) : true;
  } finally {
    close(parent);
  }
}

function isCgroupFs(file: number | string): boolean {
  const magic = fstatfsMagic(file);
  return magic === FsMagic.CGROUP_SUPER_MAGIC || magic === FsMagic.CGROUP2_SUPER_MAGIC;
}

/** Whether a path that cannot be opened names nothing, or just nothing that we can see or reach. */
function isGone(path: string, error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  // No launcher notes a path with symbolic links.
  if (code === 'ELOOP' || code === 'ENOTDIR') return true;
  if (code !== 'ENOENT') return false;
  let ancestor = dirname(path);
  while (!existsSync(ancestor)) ancestor = dirname(ancestor);
  return isCgroupFs(ancestor);
}

function removeBelow(path: string, { path: noted, made }: JournalEntry): boolean {
  const found = identity(path);
  if (found === undefined) return true;
  if (made === undefined) {
    // The launcher died about the moment of the mkdir: only the name says that it is ours, so
    // nothing in it is touched, and the kernel refuses to remove it unless it is empty.
    if (randomName.test(basename(noted))) tryRemove(path);
    return true;
  }
  if (found.inode !== made.inode || found.device !== made.device) return true;
  return removeTree(path);
}

function identity(path: string): Identity | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats?.isDirectory() ? { inode: stats.ino, device: stats.dev } : undefined;
}

/** Ends what runs in a cgroup and below it, and removes what is empty by then. */
function removeTree(path: string): boolean {
  thaw(path);
  if (!killAtOnce(path)) killEach(path);
  let children: string[] = [];
  try {
    children = readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(path, name));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
  const gone = children.map(removeTree);
  return gone.every(Boolean) && tryRemove(path);
}

function tryRemove(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** The v1 freezer holds also what has been killed. */
function thaw(path: string): void {
  write(join(path, 'freezer.state'), 'THAWED');
}

/** cgroup v2: the kernel ends everything in it and below. */
function killAtOnce(path: string): boolean {
  return write(join(path, 'cgroup.kill'), '1');
}

function write(file: string, data: string): boolean {
  try {
    writeFile(undefined, file, data);
    return true;
  } catch {
    return false; // another kind of tree, or gone
  }
}

/** What resists stays, and so does the cgroup, and the journal with it. */
function killEach(path: string): void {
  for (const pid of membersOf(path)) {
    try {
      killMember(path, pid);
    } catch {
      // It may not be signalled.
    }
  }
}
