import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { debuglog } from 'node:util';
import { type JournalEntry, lockJournal, readJournal } from './journal.js';
import { removeLeft } from './leftCgroup.js';

const log = debuglog('ringfort');

/** What a dying process holds is free after a moment; then it is the next sweep's turn. */
const maxTries = 10;

/**
 * Removes what dead launchers have left, by their journals: a journal whose lock can be taken has no
 * launcher any more. What it names is removed when it is a cgroup with the inode that the launcher
 * made; by its name alone only an empty one of a random name that was about to be made. What resists
 * for a second stays in its journal. Several sweeps at once do not disturb each other. Throws nothing:
 * `NODE_DEBUG=ringfort` says what failed.
 * @param directory of the journals; only those that belong to this user are read
 */
export async function sweep(directory: string): Promise<void> {
  for (const path of journals(directory)) {
    try {
      await sweepJournal(path);
    } catch (error) {
      log('%s: not swept: %s', path, (error as Error).message);
    }
  }
}

function journals(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.log'))
      .map((name) => join(directory, name));
  } catch (error) {
    log('%s: not swept: %s', directory, (error as Error).message);
    return [];
  }
}

/** The journal, locked; `undefined` when it is in use, gone, or not ours. */
function takeJournal(path: string): number | undefined {
  const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    log('%s: not swept: %s', path, (error as Error).message);
    return undefined;
  }
  const stats = fstatSync(fd);
  if (stats.isFile() && stats.uid === process.geteuid?.() && lockJournal(fd)) return fd;
  closeSync(fd);
  return undefined;
}

async function sweepJournal(path: string): Promise<void> {
  const fd = takeJournal(path);
  if (fd === undefined) return;
  try {
    const left = await removeAll(readJournal(readFileSync(fd)));
    for (const entry of left) log('%s: left for the next start: %s', path, entry.path);
    if (left.length === 0 && fstatSync(fd).nlink > 0) unlinkSync(path);
  } finally {
    closeSync(fd);
  }
}

/** @returns what could not be removed */
async function removeAll(entries: JournalEntry[]): Promise<JournalEntry[]> {
  // Children first.
  let left = entries.sort((a, b) => b.path.length - a.path.length);
  for (let tries = 0; ; tries++) {
    left = left.filter((entry) => !removeLeft(entry));
    if (left.length === 0 || tries === maxTries) return left;
    await sleep(2 ** tries);
  }
}
