import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { detectCgroups, type Hierarchy } from '../../lib/cgroups/detect.js';
import { leafName, parentIn } from '../../lib/cgroups/place.js';
import { supervisor } from '../../lib/supervisor.js';

/** What could be left behind, a set of names for each kind. */
interface Traces {
  /** `fd -> target` of this process and, where we may look, of its descendants. */
  descriptors: Set<string>;
  /** Threads of this process. */
  threads: Set<string>;
  /** Descendants of this process: launchers, inits, guests. */
  processes: Set<string>;
  /** `ringfort-*` directories below our own cgroups, in every tree. */
  cgroups: Set<string>;
  /** Lines of our mount table. */
  mounts: Set<string>;
  /** `ringfort*` entries outside of the temporary directory, which all tests share. */
  files: Set<string>;
}

/** The state of this process and of what it has made, to compare a later one with. */
export type Snapshot = Readonly<Traces>;

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // gone meanwhile, or another user's
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Process ids of all descendants of a process. */
export function descendants(of = process.pid): number[] {
  const children = new Map<number, number[]>();
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    // The command in parentheses may itself hold any character.
    const [, parent] = /^\S+ \(.*\) \S (\d+)/s.exec(text(`/proc/${pid}/stat`)) ?? [];
    if (parent === undefined) continue;
    children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(pid)]);
  }
  const found = [...(children.get(of) ?? [])];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Name of a process, `''` when it is gone. */
export function processName(pid: number): string {
  return text(`/proc/${pid}/comm`).trim();
}

/** Resident memory of a process, bytes; 0 when it is gone. */
export function residentBytes(pid: number = process.pid): number {
  const [, kib = '0'] = /^VmRSS:\s*(\d+) kB$/m.exec(text(`/proc/${pid}/status`)) ?? [];
  return Number(kib) * 1024;
}

/**
 * The launcher that this copy of the library uses: Jest loads one for each test file, and all their
 * launchers are children of one worker process.
 */
export async function launcherPid(): Promise<number> {
  return (await supervisor()).launcher.pid;
}

/** Directories that containers get their cgroups in, one for each mounted tree. */
export function ownCgroups(): string[] {
  const { unified, v1 } = detectCgroups();
  const trees = new Set<Hierarchy>(v1.values());
  if (unified !== undefined) trees.add(unified);
  return [...trees].flatMap((tree) => parentIn(tree, undefined)?.dir ?? []);
}

/** `ringfort-*` cgroups below `directories`, but for the one that `moveToLeafCgroup` makes. */
export function containerCgroups(directories = ownCgroups()): string[] {
  return directories.flatMap((directory) =>
    list(directory)
      .filter((name) => name.startsWith('ringfort-') && name !== leafName)
      .map((name) => join(directory, name)),
  );
}

/** Processes that are directly in a cgroup; none when it is gone. */
export function cgroupMembers(directory: string): number[] {
  return text(join(directory, 'cgroup.procs')).split('\n').filter(Boolean).map(Number);
}

/** Processes in a cgroup and below: those of a container that lives are in cgroups of their own. */
function membersBelow(directory: string): number[] {
  const below = list(directory).flatMap((name) =>
    // The kernel's files have a dot, or list as nothing.
    name.includes('.') ? [] : membersBelow(join(directory, name)),
  );
  return [...cgroupMembers(directory), ...below];
}

/** Of a directory that a test has made for one of a launcher's: the sticky bit means nothing there. */
export const foreignMode = 0o1755;

function isForeign(cgroup: string): boolean {
  const mode = statSync(cgroup, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & 0o7777) === foreignMode;
}

/** Whether it is in use, by containers of others: other test files make theirs beside ours. */
function isOthers(cgroup: string, family: readonly number[]): boolean {
  if (isForeign(cgroup)) return true;
  const members = membersBelow(cgroup);
  return members.length > 0 && !members.some((pid) => family.includes(pid));
}

function descriptors(pid: number): string[] {
  return list(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [`${pid}: ${fd} -> ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`];
    } catch {
      return []; // the one that the listing itself was made with
    }
  });
}

/** What is the source of a mount that a test makes in the mount namespace of all suites. */
export const testMount = 'ringfort-test';

/**
 * Lines of /proc/self/mountinfo, but for mounts that tests have made: suites run beside each other.
 * A field of its own tells those, which no mount of ours has (proc_pid_mountinfo(5)).
 */
export function hostMounts(): string[] {
  const lines = text('/proc/self/mountinfo').split('\n');
  return lines.filter((line) => !line.includes(` ${testMount} `));
}

function traces(): Traces {
  const family = descendants();
  return {
    descriptors: new Set([process.pid, ...family].flatMap(descriptors)),
    threads: new Set(list('/proc/self/task')),
    processes: new Set(family.map((pid) => `${pid} (${processName(pid)})`)),
    cgroups: new Set(containerCgroups()),
    mounts: new Set(hostMounts()),
    files: new Set(
      ['/run', '/dev/shm'].flatMap((place) =>
        list(place)
          .filter((name) => name.startsWith('ringfort'))
          .map((name) => join(place, name)),
      ),
    ),
  };
}

/** What there is now. Run something first, so that launcher and thread pool are there already. */
export function snapshot(): Snapshot {
  return traces();
}

/** Has the threads of Node's pool there, which come with the first calls. */
export async function warmUp(): Promise<void> {
  await Promise.all(Array.from({ length: 8 }, () => readFile('/dev/null')));
}

/** What there is of `now` that was not there `before`. */
function added(before: Snapshot, now: Traces): Traces {
  const family = descendants();
  const entries = Object.entries(now).map(([kind, names]) => [
    kind,
    new Set([...names].filter((name) => !before[kind as keyof Traces].has(name))),
  ]);
  const found = Object.fromEntries(entries) as Traces;
  found.cgroups = new Set([...found.cgroups].filter((path) => !isOthers(path, family)));
  return found;
}

/**
 * Waits, for 250 looks, until nothing is left of what came after `before`. Something counts as left
 * only when every look has seen it: test files that run beside this one share our cgroups and
 * temporary directories, and what is theirs comes and goes.
 * @throws Error that lists what stayed
 */
export async function expectNoLeaks(before: Snapshot): Promise<void> {
  let left = added(before, traces());
  for (let looks = 1; ; looks++) {
    const names = Object.entries(left).flatMap(([kind, set]) =>
      [...(set as Set<string>)].map((name) => `${kind}: ${name}`),
    );
    if (names.length === 0) return;
    if (looks > 250) throw new Error(`left behind:\n${names.join('\n')}`);
    await sleep(20);
    const next = added(before, traces());
    for (const kind of Object.keys(left) as (keyof Traces)[])
      left = { ...left, [kind]: new Set([...left[kind]].filter((name) => next[kind].has(name))) };
  }
}
