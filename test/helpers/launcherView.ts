import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readJournal } from '../../lib/host/journal.js';
import { residentBytes } from './leaks.js';

/** What a launcher holds, as who may look at it sees it: an ordinary user may not at his own. */
export interface LauncherView {
  fds: number;
  mounts: number;
  /** What it still knows to be on the host. */
  journal: number;
  residentBytes: number;
}

/** Nothing of one that has been closed meanwhile. */
function targetOf(fd: string): string[] {
  try {
    return [readlinkSync(fd)];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** @throws Error of node:fs where we may not look */
export function viewLauncher(pid: number): LauncherView {
  const targets = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => targetOf(`/proc/${pid}/fd/${fd}`));
  const journals = targets.filter((path) => path.endsWith('.log'));
  return {
    fds: targets.length,
    mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n').length,
    journal: journals.reduce((all, path) => all + readJournal(readFileSync(path)).length, 0),
    residentBytes: residentBytes(pid),
  };
}

/** For an ordinary user through his parent, where that is root and offers it (scripts/cycles.cjs); else hardly anything. */
export async function viewOwnLauncher(pid: number): Promise<LauncherView> {
  if (process.getuid?.() === 0) return viewLauncher(pid);
  if (process.send === undefined)
    return { fds: 0, mounts: 0, journal: 0, residentBytes: residentBytes(pid) };
  const answer = new Promise<LauncherView>((resolve) => {
    process.once('message', (view) => resolve(view as LauncherView));
  });
  process.send(pid);
  return await answer;
}
