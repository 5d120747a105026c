import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

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

type Counters = Partial<Record<keyof Usage, number>>;

/** One parser for each accounting file; names are unique over v1 and v2, but for cpu.stat. */
const parsers: Readonly<Record<string, (text: string) => Counters>> = {
  'cpu.stat': (text) => {
    const stat = flatKeyed(text);
    return {
      ...scaled('cpuTimeMs', stat.get('usage_usec'), 1e3),
      ...scaled('userMs', stat.get('user_usec'), 1e3),
      ...scaled('systemMs', stat.get('system_usec'), 1e3),
      ...scaled('throttledMs', stat.get('throttled_usec'), 1e3),
      // v1 counts in ns
      ...scaled('throttledMs', stat.get('throttled_time'), 1e6),
    };
  },
  'cpuacct.usage': (text) => scaled('cpuTimeMs', whole(text), 1e6),
  'cpuacct.usage_user': (text) => scaled('userMs', whole(text), 1e6),
  'cpuacct.usage_sys': (text) => scaled('systemMs', whole(text), 1e6),
  'memory.peak': (text) => scaled('peakMemoryBytes', whole(text)),
  'memory.max_usage_in_bytes': (text) => scaled('peakMemoryBytes', whole(text)),
  'memory.events': (text) => scaled('oomKills', flatKeyed(text).get('oom_kill')),
  'memory.oom_control': (text) => scaled('oomKills', flatKeyed(text).get('oom_kill')),
  'pids.peak': (text) => scaled('maxPids', whole(text)),
  'pids.events': (text) => scaled('pidsLimitHits', flatKeyed(text).get('max')),
  'io.stat': (text) => ({
    ...scaled('ioReadBytes', sum(text, /\brbytes=(\d+)/g)),
    ...scaled('ioWriteBytes', sum(text, /\bwbytes=(\d+)/g)),
  }),
  'blkio.throttle.io_service_bytes_recursive': (text) => ({
    ...scaled('ioReadBytes', sum(text, /^\d+:\d+ Read (\d+)$/gm)),
    ...scaled('ioWriteBytes', sum(text, /^\d+:\d+ Write (\d+)$/gm)),
  }),
};

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

/**
 * Makes the usage of a container from what was read before its cgroups were removed. CPU time comes
 * from `rusage` when no cgroup counted it, and so does peak memory (which is then the largest of
 * its processes, not their sum).
 */
export function parseUsage(reads: readonly ReadResult[], rusage: Rusage): Usage {
  const counted: Counters = {};
  for (const { path, data } of reads) {
    if (data !== undefined) Object.assign(counted, parsers[basename(path)]?.(data));
  }
  const userMs = counted.userMs ?? rusage.userUs / 1e3;
  const systemMs = counted.systemMs ?? rusage.systemUs / 1e3;
  return {
    peakMemoryBytes: rusage.maxRssBytes,
    ...counted,
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
}

/**
 * CPU time of a running container so far, µs, from one small file.
 * @returns undefined when no cgroup counts it, or it is gone
 * @throws Error of Node's when the file is there and cannot be read just now (EMFILE)
 */
export async function cpuTimeUs(source: UsageSource): Promise<number | undefined> {
  for (const path of source.usageFiles) {
    const parse = parsers[basename(path)];
    if (!/\/(cpu\.stat|cpuacct\.usage)$/.test(path) || parse === undefined) continue;
    const data = await readOptional(path);
    const { cpuTimeMs } = data === undefined ? {} : parse(data);
    if (cpuTimeMs !== undefined) return Math.round(cpuTimeMs * 1e3);
  }
  return undefined;
}

/** The text of a file, undefined when it is gone: a cgroup that dies answers ENODEV. */
async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') return undefined;
    throw error;
  }
}

function scaled(key: keyof Usage, value: number | undefined, divisor = 1): Counters {
  return value === undefined ? {} : { [key]: value / divisor };
}

function flatKeyed(text: string): Map<string, number> {
  const pairs = text.matchAll(/^(\S+) (\d+)$/gm);
  return new Map([...pairs].map(([, key = '', value]) => [key, Number(value)]));
}

function whole(text: string): number | undefined {
  return /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

function sum(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((total, [, value]) => total + Number(value), 0);
}
