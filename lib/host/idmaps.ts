import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { ContainerError, type ErrorFacts, PermissionError } from '../errors.js';
import { formatIdMap, maxExtents } from '../spec/idMap.js';
import type { IdMapping } from '../spec/types.js';
import { type IdSpan, intersect, without } from './idSpans.js';
import { readSubids, subidsOf } from './subids.js';

/** The map of the user namespace that an ordinary user's launcher lives in. */
export interface LauncherMap {
  /** Launcher id 0 is the user; 1 and up are the user's subordinate ids, if there are any. */
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
  /** The kernel wants `setgroups` denied before an ordinary user may write a gid map. */
  readonly denySetgroups: boolean;
  /** The setuid programs that write the map; without them it is one id, written directly. */
  readonly helpers?: { readonly newuidmap: string; readonly newgidmap: string };
  /** Why it is a single id, in words for a report. */
  readonly fallback?: string;
}

/** What `launcherMap` decides from. */
export interface LauncherFacts {
  readonly uid: number;
  readonly gid: number;
  /** Login name; newuidmap refuses a user who has none. */
  readonly name?: string;
  /** Ids granted by /etc/subuid and /etc/subgid. */
  readonly subuids: readonly IdSpan[];
  readonly subgids: readonly IdSpan[];
  /** Absolute paths, where installed. */
  readonly newuidmap?: string;
  readonly newgidmap?: string;
  /** With no_new_privs set in this process, setuid programs have no power. */
  readonly noNewPrivs: boolean;
  /** Ids that exist in this process's own user namespace. */
  readonly uids: readonly IdSpan[];
  readonly gids: readonly IdSpan[];
}

/** A map is written by one write of less than a page (user_namespaces(7)). */
export const maxMapBytes = 4095;

/** The map in the text of /proc/pid/uid_map; its `hostID`s are ids of the reader's namespace. */
export function parseIdMap(text: string): IdMapping[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((fields) => fields.length === 3)
    .map(([containerID = 0, hostID = 0, size = 0]) => ({ containerID, hostID, size }));
}

/** The ids that exist in this process's own user namespace, a run for each extent of its map. */
export function ownIds(file: 'uid_map' | 'gid_map'): IdSpan[] {
  const map = parseIdMap(readFileSync(`/proc/self/${file}`, 'utf8'));
  return map.map((m) => ({ start: m.containerID, count: m.size }));
}

/**
 * The map of an ordinary user's launcher: id 0 is the user, 1 and up all subordinate ids. Without
 * subordinate uids and gids, or without a way to use them, the user's own id alone (`fallback`
 * says why). Subordinate ids that are host id 0, the own id, or not there are left out.
 * @param facts default: of this process and this host
 * @throws PermissionError `ERR_HOST_ROOT` for uid 0: its own id is the one that is never mapped
 */
export function launcherMap(facts: LauncherFacts = launcherFacts()): LauncherMap {
  const { newuidmap, newgidmap } = facts;
  if (facts.uid === 0) {
    throw new PermissionError('ERR_HOST_ROOT', 'root lacks the capabilities to map other ids', {
      phase: 'idmap',
      hint: 'run as an ordinary user, or with CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID',
    });
  }
  const uidMappings = launcherIds(facts.uid, facts.subuids, facts.uids);
  const gidMappings = launcherIds(facts.gid, facts.subgids, facts.gids);
  const fallback = whySingle(facts, uidMappings.length > 1, gidMappings.length > 1);
  if (fallback !== undefined || newuidmap === undefined || newgidmap === undefined) {
    return {
      uidMappings: uidMappings.slice(0, 1),
      gidMappings: gidMappings.slice(0, 1),
      denySetgroups: true,
      fallback: fallback ?? 'newuidmap or newgidmap is not installed',
    };
  }
  return { uidMappings, gidMappings, denySetgroups: false, helpers: { newuidmap, newgidmap } };
}

function whySingle(facts: LauncherFacts, uids: boolean, gids: boolean): string | undefined {
  if (!uids) return 'no subordinate uids in /etc/subuid';
  if (!gids) return 'no subordinate gids in /etc/subgid';
  if (facts.name === undefined) return `uid ${facts.uid} has no entry in /etc/passwd`;
  if (facts.noNewPrivs) return 'no_new_privs is set, so newuidmap has no power';
  return undefined;
}

function launcherIds(own: number, sub: readonly IdSpan[], existing: readonly IdSpan[]) {
  const usable = without(without(intersect(sub, existing), own), 0);
  const mappings: IdMapping[] = [{ containerID: 0, hostID: own, size: 1 }];
  let next = 1;
  for (const { start, count } of usable) {
    const extended = [...mappings, { containerID: next, hostID: start, size: count }];
    if (extended.length > maxExtents || formatIdMap(extended).length > maxMapBytes) break;
    mappings.push({ containerID: next, hostID: start, size: count });
    next += count;
  }
  return mappings;
}

/** Reads what `launcherMap` needs from this process and this host. */
export function launcherFacts(): LauncherFacts {
  const user = { uid: process.getuid?.() ?? 0, ...loginName() };
  const newuidmap = findProgram('newuidmap');
  const newgidmap = findProgram('newgidmap');
  return {
    ...user,
    gid: process.getgid?.() ?? 0,
    subuids: subidsOf(readSubids('/etc/subuid'), user),
    subgids: subidsOf(readSubids('/etc/subgid'), user),
    ...(newuidmap === undefined ? {} : { newuidmap }),
    ...(newgidmap === undefined ? {} : { newgidmap }),
    noNewPrivs: /^NoNewPrivs:\t1$/m.test(readFileSync('/proc/self/status', 'utf8')),
    uids: ownIds('uid_map'),
    gids: ownIds('gid_map'),
  };
}

function loginName(): { name?: string } {
  try {
    return { name: userInfo().username };
  } catch {
    return {};
  }
}

function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/bin'];
  return directories
    .filter((directory) => isAbsolute(directory))
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * Gives the launcher's new user namespace its map, once, and checks that the kernel has taken
 * exactly it. The launcher must be dumpable meanwhile, or its /proc files are root's.
 * @param pid the launcher, already in its new user namespace
 * @throws PermissionError `ERR_NEWUIDMAP_MISSING` when a helper program cannot be executed
 * @throws PermissionError `ERR_NEWUIDMAP_FAILED` when a helper program refuses
 * @throws PermissionError `ERR_USERNS_RESTRICTED` when the kernel refuses a direct write
 * @throws ContainerError `ERR_IDMAP_MISMATCH` when the map reads back otherwise
 */
export async function applyLauncherMap(pid: number, map: LauncherMap): Promise<void> {
  if (map.helpers === undefined) {
    writeMaps(pid, map);
  } else {
    await runHelper(map.helpers.newuidmap, pid, map.uidMappings);
    await runHelper(map.helpers.newgidmap, pid, map.gidMappings);
  }
  readBack(pid, 'uid_map', map.uidMappings);
  readBack(pid, 'gid_map', map.gidMappings);
}

// At once, here and where they are read back: a worker that is terminated amid a call of node:fs that
// waits leaves its descriptor open.
function writeMaps(pid: number, map: LauncherMap): void {
  const files = [
    ['setgroups', 'deny'],
    ['gid_map', formatIdMap(map.gidMappings)],
    ['uid_map', formatIdMap(map.uidMappings)],
  ] as const;
  for (const [file, text] of files) {
    try {
      writeFileSync(`/proc/${pid}/${file}`, text);
    } catch (cause) {
      throw refused(cause as NodeJS.ErrnoException, `/proc/${pid}/${file}`);
    }
  }
}

function refused(cause: NodeJS.ErrnoException, path: string): ContainerError {
  const facts: ErrorFacts = {
    phase: 'idmap',
    path,
    cause,
    ...(cause.errno === undefined ? {} : { errno: cause.errno }),
    ...(cause.syscall === undefined ? {} : { syscall: cause.syscall }),
  };
  if (cause.code !== 'EPERM' && cause.code !== 'EACCES') {
    return new ContainerError('ERR_IDMAP_FAILED', `${path}: ${cause.message}`, facts);
  }
  return new PermissionError('ERR_USERNS_RESTRICTED', `${path}: the kernel refused the id map`, {
    ...facts,
    hint: 'user namespaces are restricted for this user here; ringfort doctor says how to mend it',
  });
}

async function runHelper(file: string, pid: number, mappings: readonly IdMapping[]) {
  const numbers = mappings.flatMap((m) => [m.containerID, m.hostID, m.size]);
  const args = [pid, ...numbers].map(String);
  const options = {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    cwd: '/',
    timeout: 30_000,
    encoding: 'utf8',
  } as const;
  try {
    // Node does not reap the child of a worker that is terminated meanwhile.
    if (isMainThread) await promisify(execFile)(file, args, options);
    else execFileSync(file, args, { ...options, stdio: 'pipe' });
  } catch (cause) {
    throw helperFailed(cause as Error & { code?: unknown; stderr?: string }, file);
  }
}

function helperFailed(cause: Error & { code?: unknown; stderr?: string }, path: string) {
  const facts: ErrorFacts = { phase: 'idmap', path, cause };
  if (typeof cause.code === 'string' && cause.code !== 'ETIMEDOUT') {
    return new PermissionError('ERR_NEWUIDMAP_MISSING', `${path}: ${cause.message}`, {
      ...facts,
      hint: 'install newuidmap and newgidmap (Debian: apt install uidmap; Fedora: shadow-utils)',
    });
  }
  const said = cause.stderr?.trim().split('\n')[0] || 'it ended without a word';
  return new PermissionError('ERR_NEWUIDMAP_FAILED', `${path}: ${said}`, {
    ...facts,
    hint: 'check /etc/subuid and /etc/subgid, and that the program is setuid root or has cap_setuid',
  });
}

function readBack(pid: number, file: string, expected: readonly IdMapping[]): void {
  const path = `/proc/${pid}/${file}`;
  // the kernel keeps more than five extents sorted by containerID, as ours are anyway
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw refused(cause as NodeJS.ErrnoException, path);
  }
  const got = formatIdMap(parseIdMap(text));
  if (got === formatIdMap(expected)) return;
  throw new ContainerError('ERR_IDMAP_MISMATCH', `${path}: reads back other than was written`, {
    phase: 'idmap',
    path,
  });
}
