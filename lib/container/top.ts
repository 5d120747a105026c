import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CgroupPaths } from '../cgroups/index.js';

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
  /** argv, or the name of a process that has none (any more). It is the guest's own words. */
  command: string[];
}

/** USER_HZ, which the kernel shows times in on every architecture (time(7)). */
const ticksPerSecond = 100;

async function text(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined; // gone meanwhile
  }
}

async function members(dir: string): Promise<number[]> {
  const own = (await text(join(dir, 'cgroup.procs'))) ?? '';
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map(({ name }) => members(join(dir, name))),
  );
  return [...own.split('\n').filter(Boolean).map(Number), ...below.flat()];
}

async function describe(pid: number): Promise<ProcessInfo | undefined> {
  const [stat, status, cmdline] = await Promise.all(
    ['stat', 'status', 'cmdline'].map((file) => text(`/proc/${pid}/${file}`)),
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
    command: argv.length > 0 ? argv : [`[${name}]`],
  };
}

/**
 * The processes in a container's cgroups, oldest number first. Empty without any cgroup.
 * @throws never for what ends meanwhile
 */
export async function processesIn({ unified, v1 }: CgroupPaths): Promise<ProcessInfo[]> {
  const dir = unified ?? Object.values(v1)[0];
  if (dir === undefined) return [];
  const pids = [...new Set(await members(dir))].sort((a, b) => a - b);
  const found = await Promise.all(pids.map(describe));
  return found.filter((each) => each !== undefined);
}
