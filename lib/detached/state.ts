import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupPlan } from '../cgroups/index.js';
import { NotFoundError, StateError } from '../errors.js';
import { type Ended, endOf, type ReadPaths } from '../follow.js';
import type { Isolation } from '../isolation.js';
import type { RunnableSpec } from '../launch.js';
import { decodeReport, reportType } from '../launcher/messages.js';
import type { LayerOptions } from '../layers/maintenance.js';
import type { Facts } from '../policy/facts.js';
import type { CgroupIdentity } from './leftovers.js';
import { bigKey, parseState, version } from './parseState.js';
import { containerDir, isId, stateFile } from './stateDir.js';

/** What the command of a detached container reads and writes. */
export interface DetachedStreams {
  /** A pipe to its stdin is kept by the monitor. */
  stdin: boolean;
  /** Which outputs are in the log; both are one with a terminal. */
  stdout: boolean;
  stderr: boolean;
  pty: boolean;
}

/** Everything that another process must know of a detached container; kept as JSON. */
export interface DetachedState {
  version: number;
  id: string;
  /** ms since the epoch. */
  createdAt: number;
  labels: Readonly<Record<string, string>>;
  /** Absent where our init is all. */
  command?: string[];
  /** /proc/sys/kernel/random/boot_id: pids of another boot are nobody's. */
  bootId: string;
  /** The monitor's number of it. */
  number: number;
  /** Host pids of its first process and of the monitor. */
  pid: number;
  monitorPid: number;
  spec: RunnableSpec;
  facts: Pick<Facts, 'uidMappings' | 'gidMappings' | 'denySetgroups'> & { fileSources: string[] };
  serves: boolean;
  reads: ReadPaths;
  isolation: Isolation;
  cgroup: CgroupPlan;
  /** The same, as they can be told from others of their name. */
  cgroups: CgroupIdentity[];
  streams: DetachedStreams;
  logs: { maxSize: number; maxFiles: number };
  /** For snapshots of its layer. */
  layerOptions?: LayerOptions;
}

/** Writes the state under the name that it has until the monitor has taken over. */
export function writeDraft(path: string, state: Omit<DetachedState, 'version'>): void {
  const text = JSON.stringify({ version, ...state }, (_key, value: unknown) =>
    typeof value === 'bigint' ? { [bigKey]: String(value) } : value,
  );
  writeFileSync(join(path, stateFile.draft), text, { mode: 0o600, flag: 'wx' });
}

/**
 * The state of a detached container.
 * @throws NotFoundError `ERR_CONTAINER_NOT_FOUND`
 * @throws StateError `ERR_CONTAINER_STATE` when it is damaged or of another version
 */
export function readState(id: string): DetachedState {
  const path = isId(id) ? join(containerDir(id), stateFile.state) : id;
  try {
    if (!isId(id)) throw Object.assign(new Error('no id'), { code: 'ENOENT' });
    const state = parseState(readFileSync(path, 'utf8'), id);
    if (state !== undefined) return state;
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      const message = `there is no detached container ${id}`;
      throw new NotFoundError('ERR_CONTAINER_NOT_FOUND', message, { phase: 'launcher', path });
    }
    // It could not be opened (EMFILE, EACCES), which says nothing about what it holds.
    if (syscall === 'open') throw error;
  }
  throw new StateError('ERR_CONTAINER_STATE', `${path}: not a state of this version of ringfort`, {
    phase: 'launcher',
    path,
    hint: 'Container.remove(id, { force: true }) removes it once its monitor is gone',
  });
}

/** What is said of a container whose monitor was killed: the kernel has ended it with that. */
export const lostEnd: Ended = {
  exitCode: null,
  signal: 'SIGKILL',
  usage: { cpuTimeMs: 0, userMs: 0, systemMs: 0 },
  oom: false,
  pids: false,
  lost: true,
};

/** How a container ended; undefined while it has not, or where nobody saw it. */
export function readExit({ id, reads }: Pick<DetachedState, 'id' | 'reads'>): Ended | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(containerDir(id), stateFile.exit));
  } catch (error) {
    // An exit that cannot be read just now (EMFILE) is not one that nobody saw.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
  const report = decodeReport(bytes);
  return report?.type === reportType.exited ? endOf(reads, report) : undefined;
}

/** When its end was written down, ms since the epoch; undefined where it was not. */
export function endTime(id: string): number | undefined {
  const path = join(containerDir(id), stateFile.exit);
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined || stats.size === 0 ? undefined : stats.mtimeMs;
}
