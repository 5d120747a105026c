import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CgroupPaths, membersOf } from '../cgroups/index.js';

/** One process of a container, as the host sees it. */
export interface ProcessInfo {
  /** Host pid, and that of its parent. */
  pid: number;
  parent: number;
  /** Host uid. */
  uid: number;
  /** `R` running, `S` sleeping, `D` waiting for a disk, `Z` ended and not yet reaped, … (proc(5)). */
  state: string;
  /** User and system time together, ms. */
  cpuTimeMs: number;
  residentBytes: number;
  /**
   * The kernel's name for it, at most 15 bytes (proc_pid_comm(5)): `ringfort-init` and
   * `ringfort-files` are ours, but a guest may take any name for itself.
   */
  name: string;
  /** argv, or the name of a process that has none (any more). It is the guest's own words. */
  command: string[];
}

/** USER_HZ, which the kernel shows times in on every architecture (time(7)). */
const ticksPerSecond = 100;

function text(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // gone meanwhile
  }
}

function entries(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch {
    return []; // gone meanwhile
  }
}

function membersBelow(dir: string): number[] {
  const below = entries(dir).filter((entry) => entry.isDirectory());
  return [...membersOf(dir), ...below.flatMap(({ name }) => membersBelow(join(dir, name)))];
}

function describe(pid: number): ProcessInfo | undefined {
  const [stat, status, cmdline] = ['stat', 'status', 'cmdline'].map((file) =>
    text(`/proc/${pid}/${file}`),
  );
  // The name in parentheses may itself hold any character (proc_pid_stat(5)).
  const [, name = '', rest = ''] = /^\d+ \((.*)\) (.*)$/s.exec(stat ?? '') ?? [];
  const fields = rest.split(' ');
  const uid = /^Uid:\s+(\d+)/m.exec(status ?? '')?.[1];
  if (uid === undefined || fields.length < 20) return undefined;
  const argv = (cmdline ?? '').split('\0').slice(0, -1);
  return {
    pid,
    parent: Number(fields[1]),
    uid: Number(uid),
    state: fields[0] ?? '?',
    cpuTimeMs: ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond,
    residentBytes: Number(/^VmRSS:\s+(\d+)/m.exec(status ?? '')?.[1] ?? 0) * 1024,
    name,
    command: argv.length > 0 ? argv : [`[${name}]`],
  };
}

/**
 * The processes in a container's cgroups, oldest number first. Empty without any cgroup.
 * @throws never for what ends meanwhile
 */
export function processesIn({ unified, v1 }: CgroupPaths): ProcessInfo[] {
  const dir = unified ?? Object.values(v1)[0];
  if (dir === undefined) return [];
  const pids = [...new Set(membersBelow(dir))].sort((a, b) => a - b);
  return pids.map(describe).filter((each) => each !== undefined);
}
