import { type Counters, parseCounters } from './counters.js';
import { type CgroupPaths, readOptional } from './liveFiles.js';

/** What a container has used. A field is undefined where this kernel does not count it. */
export interface Usage {
  /** User and system time together, ms. */
  cpuTimeMs: number;
  userMs: number;
  systemMs: number;
  /** Most memory at once, bytes, page cache and kernel memory included. */
  peakMemoryBytes?: number;
  ioReadBytes?: number;
  ioWriteBytes?: number;
  /** Most tasks at once. */
  maxPids?: number;
  /** Processes that an out-of-memory killer has killed. */
  oomKills?: number;
  /** Times that fork failed at the pids limit. */
  pidsLimitHits?: number;
  /** Time that the CPU quota has held it back, ms. */
  throttledMs?: number;
}

/** What `getrusage` or `wait4` says of the ended processes; used where no cgroup counts. */
export interface Rusage {
  userUs: number;
  systemUs: number;
  maxRssBytes: number;
}

/** The outcome of one `read` step. */
export interface ReadResult {
  path: string;
  data?: string;
  errno?: number;
}

/** Why a container came to grief, as its cgroup tells it. */
export interface Verdict {
  /** The memory limit killed something. */
  oom: boolean;
  /** A fork was refused at the pids limit. */
  pids: boolean;
}

/**
 * The accounting files of the container's cgroups, in the order they are read.
 * @see cgroup-v2.rst, cgroup-v1/{cpuacct,memory,pids,blkio-controller}.rst
 */
export const usageFiles = {
  /** In every v2 cgroup, whatever is enabled. */
  core: ['cpu.stat'],
  v2: {
    memory: ['memory.peak', 'memory.events'],
    pids: ['pids.peak', 'pids.events'],
    io: ['io.stat'],
  },
  v1: {
    cpu: ['cpu.stat'],
    cpuacct: ['cpuacct.usage', 'cpuacct.usage_user', 'cpuacct.usage_sys'],
    memory: ['memory.max_usage_in_bytes', 'memory.oom_control'],
    pids: ['pids.peak', 'pids.events'],
    blkio: ['blkio.throttle.io_service_bytes_recursive'],
  },
} as const satisfies Record<string, readonly string[] | Record<string, readonly string[]>>;

/** Fields of `Usage` that are there only where they are counted. */
const optional = [
  'peakMemoryBytes',
  'ioReadBytes',
  'ioWriteBytes',
  'maxPids',
  'oomKills',
  'pidsLimitHits',
  'throttledMs',
] as const satisfies readonly (keyof Usage & keyof Counters)[];

function entry(counted: Counters, key: keyof Counters): [string, number][] {
  const value = counted[key];
  return value === undefined ? [] : [[key, value]];
}

/**
 * Makes the usage of a container from what was read before its cgroups were removed. CPU time comes
 * from `rusage` when no cgroup counted it, and so does peak memory (which is then the largest of
 * its processes, not their sum).
 */
export function parseUsage(reads: readonly ReadResult[], rusage: Rusage): Usage {
  const counted: Counters = {};
  for (const { path, data } of reads) {
    if (data !== undefined) Object.assign(counted, parseCounters(path, data));
  }
  const userMs = counted.userMs ?? rusage.userUs / 1e3;
  const systemMs = counted.systemMs ?? rusage.systemUs / 1e3;
  return {
    peakMemoryBytes: rusage.maxRssBytes,
    ...Object.fromEntries(optional.flatMap((key) => entry(counted, key))),
    cpuTimeMs: counted.cpuTimeMs ?? userMs + systemMs,
    userMs,
    systemMs,
  };
}

/**
 * Whether limits were hit.
 * @param oomEvent the launcher's own watch on a v1 memory cgroup fired
 */
export function verdict(usage: Usage, oomEvent = false): Verdict {
  return { oom: oomEvent || (usage.oomKills ?? 0) > 0, pids: (usage.pidsLimitHits ?? 0) > 0 };
}

/** Where to read what a container uses: part of a `CgroupPlan`. */
export interface UsageSource {
  /** Absolute paths of the accounting files. */
  usageFiles: readonly string[];
  paths: Pick<CgroupPaths, 'unified'>;
}

const cpuTimeFile = /\/(cpu\.stat|cpuacct\.usage)$/;

/** Whether a cgroup counts the CPU time at all. */
export function countsCpuTime({ usageFiles, paths }: UsageSource): boolean {
  // v1's cpu.stat has only what a quota has held back.
  return usageFiles.some(
    (path) => /\/cpuacct\.usage$/.test(path) || path === `${paths.unified}/cpu.stat`,
  );
}

/**
 * CPU time of a running container so far, µs, from one small file.
 * @returns undefined when no cgroup counts it, or it is gone
 * @throws Error of Node's when the file is there and cannot be read just now (EMFILE)
 */
export async function cpuTimeUs(source: UsageSource): Promise<number | undefined> {
  for (const path of source.usageFiles) {
    if (!cpuTimeFile.test(path)) continue;
    const data = await readOptional(path);
    const { cpuTimeMs } = data === undefined ? {} : parseCounters(path, data);
    if (cpuTimeMs !== undefined) return Math.round(cpuTimeMs * 1e3);
  }
  return undefined;
}
