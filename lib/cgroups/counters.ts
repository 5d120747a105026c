import { basename } from 'node:path';

/**
 * Everything that accounting files of cgroups say, by one name each whatever the version. Times in
 * ms, sizes in bytes. A counter is missing where the file, or this kernel, does not have it; so is
 * a limit that is not set.
 */
export type Counters = { [name in CounterName]?: number };

/** How much of its memory is what. */
export const memoryParts = [
  'anonBytes',
  'fileBytes',
  'kernelBytes',
  'shmemBytes',
  'slabBytes',
  'sockBytes',
  'kernelStackBytes',
  'pageTablesBytes',
  'fileMappedBytes',
  'fileDirtyBytes',
] as const;

type CounterName =
  | 'cpuTimeMs'
  | 'userMs'
  | 'systemMs'
  | 'periods'
  | 'throttledPeriods'
  | 'throttledMs'
  | 'memoryBytes'
  | 'peakMemoryBytes'
  | 'memoryLimitBytes'
  | 'swapBytes'
  | 'oomKills'
  | 'memoryLimitHits'
  | 'memswLimitHits'
  | 'ioReadBytes'
  | 'ioWriteBytes'
  | 'ioReads'
  | 'ioWrites'
  | 'pids'
  | 'maxPids'
  | 'pidsLimit'
  | 'pidsLimitHits'
  | (typeof memoryParts)[number];

/** One parser for each accounting file; names that v1 and v2 share differ in their keys. */
const parsers: Readonly<Record<string, (text: string) => Counters>> = {
  'cpu.stat': (text) => {
    const stat = flatKeyed(text);
    return {
      ...scaled('cpuTimeMs', stat.get('usage_usec'), 1e3),
      ...scaled('userMs', stat.get('user_usec'), 1e3),
      ...scaled('systemMs', stat.get('system_usec'), 1e3),
      ...scaled('periods', stat.get('nr_periods')),
      ...scaled('throttledPeriods', stat.get('nr_throttled')),
      ...scaled('throttledMs', stat.get('throttled_usec'), 1e3),
      // v1 counts in ns
      ...scaled('throttledMs', stat.get('throttled_time'), 1e6),
    };
  },
  'cpuacct.usage': (text) => scaled('cpuTimeMs', whole(text), 1e6),
  'cpuacct.usage_user': (text) => scaled('userMs', whole(text), 1e6),
  'cpuacct.usage_sys': (text) => scaled('systemMs', whole(text), 1e6),
  'memory.current': (text) => scaled('memoryBytes', whole(text)),
  'memory.usage_in_bytes': (text) => scaled('memoryBytes', whole(text)),
  'memory.peak': (text) => scaled('peakMemoryBytes', whole(text)),
  'memory.max_usage_in_bytes': (text) => scaled('peakMemoryBytes', whole(text)),
  'memory.max': (text) => limit('memoryLimitBytes', text),
  'memory.limit_in_bytes': (text) => limit('memoryLimitBytes', text),
  'memory.swap.current': (text) => scaled('swapBytes', whole(text)),
  'memory.events': (text) => ({
    ...scaled('oomKills', flatKeyed(text).get('oom_kill')),
    ...scaled('memoryLimitHits', flatKeyed(text).get('max')),
  }),
  'memory.oom_control': (text) => scaled('oomKills', flatKeyed(text).get('oom_kill')),
  'memory.failcnt': (text) => scaled('memoryLimitHits', whole(text)),
  // With memory and swap together at the same limit, v1 runs into that one first.
  'memory.memsw.failcnt': (text) => scaled('memswLimitHits', whole(text)),
  'memory.stat': (text) => memoryStat(flatKeyed(text)),
  'memory.kmem.usage_in_bytes': (text) => scaled('kernelBytes', whole(text)),
  'memory.kmem.tcp.usage_in_bytes': (text) => scaled('sockBytes', whole(text)),
  'pids.current': (text) => scaled('pids', whole(text)),
  'pids.peak': (text) => scaled('maxPids', whole(text)),
  'pids.max': (text) => limit('pidsLimit', text),
  'pids.events': (text) => scaled('pidsLimitHits', flatKeyed(text).get('max')),
  'io.stat': (text) => ({
    ...scaled('ioReadBytes', sum(text, /\brbytes=(\d+)/g)),
    ...scaled('ioWriteBytes', sum(text, /\bwbytes=(\d+)/g)),
    ...scaled('ioReads', sum(text, /\brios=(\d+)/g)),
    ...scaled('ioWrites', sum(text, /\bwios=(\d+)/g)),
  }),
  'blkio.throttle.io_service_bytes_recursive': (text) => ({
    ...scaled('ioReadBytes', sum(text, /^\d+:\d+ Read (\d+)$/gm)),
    ...scaled('ioWriteBytes', sum(text, /^\d+:\d+ Write (\d+)$/gm)),
  }),
  'blkio.throttle.io_serviced_recursive': (text) => ({
    ...scaled('ioReads', sum(text, /^\d+:\d+ Read (\d+)$/gm)),
    ...scaled('ioWrites', sum(text, /^\d+:\d+ Write (\d+)$/gm)),
  }),
};

/**
 * What an accounting file says; nothing for one that is not known.
 * @param path only its last part matters
 * @see cgroup-v2.rst, cgroup-v1/{cpuacct,memory,pids,blkio-controller}.rst
 */
export function parseCounters(path: string, text: string): Counters {
  return parsers[basename(path)]?.(text) ?? {};
}

/** v1 counts a cgroup with those below it in `total_*` only. */
function memoryStat(stat: ReadonlyMap<string, number>): Counters {
  const v1 = stat.has('total_rss');
  const either = (v2Key: string, v1Key?: string) => stat.get(v1 ? (v1Key ?? '') : v2Key);
  return {
    ...scaled('anonBytes', either('anon', 'total_rss')),
    ...scaled('fileBytes', either('file', 'total_cache')),
    ...scaled('kernelBytes', either('kernel')),
    ...scaled('shmemBytes', either('shmem', 'total_shmem')),
    ...scaled('slabBytes', either('slab')),
    ...scaled('sockBytes', either('sock')),
    ...scaled('kernelStackBytes', either('kernel_stack')),
    ...scaled('pageTablesBytes', either('pagetables')),
    ...scaled('fileMappedBytes', either('file_mapped', 'total_mapped_file')),
    ...scaled('fileDirtyBytes', either('file_dirty', 'total_dirty')),
    // v2 has a file of its own for it.
    ...scaled('swapBytes', v1 ? stat.get('total_swap') : undefined),
  };
}

function scaled(key: CounterName, value: number | undefined, divisor = 1): Counters {
  return value === undefined ? {} : { [key]: value / divisor };
}

/** `max`, and the largest number of pages of v1, are no limits. */
function limit(key: CounterName, text: string): Counters {
  const value = whole(text);
  return value === undefined || value > Number.MAX_SAFE_INTEGER ? {} : { [key]: value };
}

/** Lines of a name and a number: `cpu.stat`, `memory.events`. */
export function flatKeyed(text: string): Map<string, number> {
  const pairs = text.matchAll(/^(\S+) (\d+)$/gm);
  return new Map([...pairs].map(([, key = '', value]) => [key, Number(value)]));
}

function whole(text: string): number | undefined {
  return /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

function sum(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((total, [, value]) => total + Number(value), 0);
}
