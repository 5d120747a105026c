import { join } from 'node:path';
import { type Counters, memoryParts, parseCounters } from './counters.js';
import { type CgroupPaths, readOptional, withChildren } from './liveFiles.js';
import { type Pressure, parsePressure } from './pressure.js';

/** What a running container, or one program in it, uses. Undefined where it is not counted. */
export interface ContainerStats {
  /** When it was read, ms since the epoch. */
  time: number;
  cpu: {
    /** User and system time together, ms since the start. */
    usageMs?: number;
    userMs?: number;
    systemMs?: number;
    /** Time that the CPU quota has held it back, ms. */
    throttledMs?: number;
    /** Periods of the quota in which it was held back, of so many. */
    throttledPeriods?: number;
    periods?: number;
  };
  memory: {
    /** Page cache and kernel memory included. */
    currentBytes?: number;
    /** v2: since Linux 5.19. */
    peakBytes?: number;
    /** Undefined without a limit. */
    limitBytes?: number;
    swapBytes?: number;
    breakdown: MemoryBreakdown;
    /** Processes that an out-of-memory killer has killed. */
    oomKills?: number;
    /**
     * Times that it ran into the memory limit, which reclaim may have mended. v1: always 0 on some
     * kernels (6.18), which do not count it any more.
     */
    limitHits?: number;
  };
  /**
   * Block devices, since the start. v1: counted by what limits them, so since Linux 6.10 nothing on a
   * device that no cgroup of the host has had a limit for yet (`limits.io`).
   */
  io: { readBytes?: number; writeBytes?: number; readOps?: number; writeOps?: number };
  pids: {
    current?: number;
    /** Since Linux 6.1. */
    peak?: number;
    /** Undefined without a limit. */
    limit?: number;
    /** Times that fork failed at the limit. */
    limitHits?: number;
  };
  /** Pressure stall information, on the v2 tree only. */
  pressure: { cpu?: Pressure; memory?: Pressure; io?: Pressure };
}

/** What the memory is used for, bytes; `shmemBytes` is a part of `fileBytes`. */
export type MemoryBreakdown = { [part in (typeof memoryParts)[number]]?: number };

const v2Files = {
  memory: ['current', 'peak', 'max', 'swap.current', 'stat', 'events'].map((f) => `memory.${f}`),
  pids: ['current', 'peak', 'max', 'events'].map((f) => `pids.${f}`),
  io: ['io.stat'],
};

const v1Files: Readonly<Record<string, readonly string[]>> = {
  cpu: ['cpu.stat'],
  cpuacct: ['cpuacct.usage', 'cpuacct.usage_user', 'cpuacct.usage_sys'],
  memory: [
    'usage_in_bytes',
    'max_usage_in_bytes',
    'limit_in_bytes',
    'kmem.usage_in_bytes',
    'kmem.tcp.usage_in_bytes',
    'stat',
  ].map((file) => `memory.${file}`),
  pids: ['current', 'peak', 'max'].map((file) => `pids.${file}`),
  blkio: ['io_service_bytes_recursive', 'io_serviced_recursive'].map((f) => `blkio.throttle.${f}`),
};

/**
 * Reads what a running container uses. Where the kernel counts OOM kills and refused forks in each
 * cgroup alone (v1, pids before 6.11), those of programs that have ended are not in it. Without any
 * cgroup, or when it has gone, all fields but the time are undefined.
 * @param paths `CgroupPlan.paths` of a container or of one program
 * @throws Error of Node's when a file cannot be read just now (EMFILE)
 */
export async function readStats(paths: CgroupPaths): Promise<ContainerStats> {
  const [counters, local, pressure] = await Promise.all([
    readCounters(files(paths)),
    readLocal(paths),
    readPressure(paths.unified),
  ]);
  return shaped({ ...counters, ...local }, pressure);
}

/** Only where a controller's accounts are: those of the v2 tree are missing if v1 has it. */
function files({ unified, v1 }: CgroupPaths): string[] {
  const inV1 = Object.entries(v1).flatMap(([controller, dir]) =>
    (v1Files[controller] ?? []).map((file) => join(dir, file)),
  );
  if (unified === undefined) return inV1;
  const onV2 = [
    'cpu.stat',
    ...(v1.memory === undefined ? v2Files.memory : []),
    ...(v1.pids === undefined ? v2Files.pids : []),
    ...(v1.blkio === undefined ? v2Files.io : []),
  ];
  return [...inV1, ...onV2.map((file) => join(unified, file))];
}

async function readCounters(list: readonly string[]): Promise<Counters> {
  const texts = await Promise.all(list.map(readOptional));
  const parsed = list.map((path, i) => {
    const text = texts[i];
    return text === undefined ? {} : parseCounters(path, text);
  });
  return Object.assign({}, ...parsed) as Counters;
}

/** v1 files of counters that it keeps for each cgroup alone. */
export const localMemoryFiles = ['memory.oom_control', 'memory.failcnt', 'memory.memsw.failcnt'];

/** Those counters, added up for a cgroup and the ones below it. */
async function readLocal({ unified, v1 }: CgroupPaths): Promise<Counters> {
  const pids = v1.pids ?? unified;
  const alone = v1.pids !== undefined || (pids !== undefined && !(await addsUpPids(pids)));
  const [memory, forks] = await Promise.all([
    addUp(v1.memory, localMemoryFiles),
    alone ? addUp(pids, ['pids.events']) : {},
  ]);
  return { ...memory, ...forks };
}

/** Since 6.11 v2's `pids.events` counts with the cgroups below, and `.local` alone. */
export async function addsUpPids(dir: string): Promise<boolean> {
  return (await readOptional(join(dir, 'pids.events.local'))) !== undefined;
}

async function addUp(dir: string | undefined, names: readonly string[]): Promise<Counters> {
  const dirs = dir === undefined ? [] : await withChildren(dir);
  const all = dirs.map((each) => readCounters(names.map((name) => join(each, name))));
  const total: Counters = {};
  for (const counters of await Promise.all(all)) {
    for (const [key, value] of Object.entries(counters) as [keyof Counters, number][]) {
      total[key] = (total[key] ?? 0) + value;
    }
  }
  return total;
}

async function readPressure(dir: string | undefined): Promise<ContainerStats['pressure']> {
  if (dir === undefined) return {};
  const names = ['cpu', 'memory', 'io'] as const;
  const texts = await Promise.all(names.map((name) => readOptional(join(dir, `${name}.pressure`))));
  const found = names.map((name, i) => [name, parsePressure(texts[i] ?? '')] as const);
  return Object.fromEntries(found.filter(([, pressure]) => pressure !== undefined));
}

function shaped(c: Counters, pressure: ContainerStats['pressure']): ContainerStats {
  const parts = memoryParts.map((part) => [part, c[part]] as const);
  return {
    time: Date.now(),
    cpu: defined({
      usageMs: c.cpuTimeMs,
      userMs: c.userMs,
      systemMs: c.systemMs,
      throttledMs: c.throttledMs,
      throttledPeriods: c.throttledPeriods,
      periods: c.periods,
    }),
    memory: {
      ...defined({
        currentBytes: c.memoryBytes,
        peakBytes: c.peakMemoryBytes,
        limitBytes: c.memoryLimitBytes,
        swapBytes: c.swapBytes,
        oomKills: c.oomKills,
        limitHits: either(c.memoryLimitHits, c.memswLimitHits),
      }),
      breakdown: defined(Object.fromEntries(parts)),
    },
    io: defined({
      readBytes: c.ioReadBytes,
      writeBytes: c.ioWriteBytes,
      readOps: c.ioReads,
      writeOps: c.ioWrites,
    }),
    pids: defined({
      current: c.pids,
      peak: c.maxPids,
      limit: c.pidsLimit,
      limitHits: c.pidsLimitHits,
    }),
    pressure,
  };
}

function either(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0);
}

/** Without the fields that are undefined. */
function defined<T extends Record<string, number | undefined>>(
  fields: T,
): { [K in keyof T]?: number } {
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as { [K in keyof T]?: number };
}
