import { sharesFromWeight } from '../cgroups/weights.js';
import type { ContainerOptions, IoLimit, Limits, LimitsUpdate } from '../options.js';
import { defaultLimits, defaultRlimits } from './defaults.js';
import { defined } from './defined.js';
import { rlimInfinity } from './names.js';
import { parseSize } from './size.js';
import type { SpecResources, SpecRlimit, SpecThrottle } from './types.js';

/** The period that `cpus` is a fraction of, µs. @see cgroup-v2, cpu.max */
const cpuPeriod = 100000;

type BlockIO = NonNullable<SpecResources['blockIO']>;

/** An IO limit in plain numbers; each rate per second. */
export interface IoRates {
  device: string;
  readBps?: number;
  writeBps?: number;
  readIops?: number;
  writeIops?: number;
}

/** `limits` laid over `resources`, with the defaults where neither speaks. */
export function resourcesFromOptions(options: ContainerOptions): SpecResources | undefined {
  if (options.limits === 'none') return undefined;
  const limits = options.limits ?? {};
  const given = options.resources ?? {};
  return defined({
    ...given,
    memory: memoryFrom(limits, given.memory ?? {}),
    cpu: cpuFrom(limits, given.cpu),
    pids: { limit: limits.pids ?? given.pids?.limit ?? defaultLimits.pids },
    blockIO: blockIoFrom(limits.io ?? [], given.blockIO),
  });
}

function memoryFrom(limits: Limits, given: NonNullable<SpecResources['memory']>) {
  const limit =
    limits.memory === undefined
      ? (given.limit ?? defaultLimits.memory)
      : parseSize(limits.memory, 'limits.memory');
  const swap =
    limits.swap === undefined
      ? (given.swap ?? limit)
      : limit + parseSize(limits.swap, 'limits.swap');
  return { ...given, limit, swap };
}

function cpuFrom(limits: Limits, given: SpecResources['cpu']): SpecResources['cpu'] {
  const asked = defined({
    shares: limits.cpuWeight === undefined ? undefined : sharesFromWeight(limits.cpuWeight),
    quota: limits.cpus === undefined ? undefined : Math.round(limits.cpus * cpuPeriod),
    period: limits.cpus === undefined ? undefined : cpuPeriod,
    cpus: limits.cpuset,
  });
  return given === undefined && Object.keys(asked).length === 0
    ? undefined
    : { ...given, ...asked };
}

const throttles = [
  ['readBps', 'throttleReadBpsDevice'],
  ['writeBps', 'throttleWriteBpsDevice'],
  ['readIops', 'throttleReadIOPSDevice'],
  ['writeIops', 'throttleWriteIOPSDevice'],
] as const;

function blockIoFrom(limits: readonly IoLimit[], given: BlockIO | undefined): BlockIO | undefined {
  const numbered = ioRates(limits).filter(({ device }) => isDeviceNumber(device));
  if (numbered.length === 0) return given;
  const blockIO: BlockIO = { ...given };
  for (const [rate, field] of throttles) {
    const asked = numbered.flatMap((limit) => throttle(limit.device, limit[rate]));
    const kept = (given?.[field] ?? []).filter(
      (old) => !asked.some((limit) => limit.major === old.major && limit.minor === old.minor),
    );
    if (asked.length > 0) blockIO[field] = [...kept, ...asked];
  }
  return blockIO;
}

function throttle(device: string, rate: number | undefined): SpecThrottle[] {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  return rate === undefined ? [] : [{ major, minor, rate }];
}

/** IO limits of devices that are named by path; their numbers are read when they are set. */
export function ioByPath(limits: Pick<Limits, 'io'>): IoRates[] {
  return ioRates(limits.io ?? []).filter(({ device }) => !isDeviceNumber(device));
}

function ioRates(limits: readonly IoLimit[]): IoRates[] {
  return limits.map((limit, i) =>
    defined({
      device: limit.device,
      readBps: size(`limits.io[${i}].readBps`, limit.readBps),
      writeBps: size(`limits.io[${i}].writeBps`, limit.writeBps),
      readIops: limit.readIops,
      writeIops: limit.writeIops,
    }),
  );
}

function size(option: string, value: number | string | undefined): number | undefined {
  return value === undefined ? undefined : parseSize(value, option);
}

/** Whether a device is named by number, `major:minor`. */
function isDeviceNumber(device: string): boolean {
  return /^\d{1,4}:\d{1,7}$/.test(device);
}

/** The default resource limits, then `limits.nofile` and `fsize`, then `rlimits`. */
export function rlimitsFromOptions(options: ContainerOptions): SpecRlimit[] {
  const limits = options.limits === undefined || options.limits === 'none' ? {} : options.limits;
  const byType = new Map(defaultRlimits.map((limit) => [limit.type, limit]));
  const set = (type: string, soft: number, hard: number) => byType.set(type, { type, soft, hard });
  // Soft and hard: a limit that the program could raise itself would be none.
  if (limits.nofile !== undefined) set('RLIMIT_NOFILE', limits.nofile, limits.nofile);
  const fsize = size('limits.fsize', limits.fsize);
  if (fsize !== undefined) set('RLIMIT_FSIZE', fsize, fsize);
  for (const [type, value] of Object.entries(options.rlimits ?? {})) {
    const [soft, hard] = typeof value === 'number' ? [value, value] : value;
    set(type, finite(soft), finite(hard));
  }
  return [...byType.values()];
}

function finite(limit: number): number {
  return limit === Number.POSITIVE_INFINITY ? rlimInfinity : limit;
}

/**
 * Limits of one program within its container's: nothing is limited that was not asked for, but
 * swap, which a limit on memory always brings along. Devices that are named by path are to be added
 * (`ioByPath`).
 */
export function resourcesOfProgram(limits: Limits = {}): SpecResources {
  const memory = size('limits.memory', limits.memory);
  const swap = size('limits.swap', limits.swap) ?? 0;
  return defined({
    memory: memory === undefined ? undefined : { limit: memory, swap: memory + swap },
    cpu: cpuFrom(limits, undefined),
    pids: limits.pids === undefined ? undefined : { limit: limits.pids },
    blockIO: blockIoFrom(limits.io ?? [], undefined),
  });
}

/**
 * New limits for a container that runs. A limit on memory brings its swap along, as at creation.
 * Devices that are named by path are to be added (`ioByPath`).
 */
export function resourcesOfUpdate(limits: LimitsUpdate): SpecResources {
  const { memory, cpus, pids, ...rest } = limits;
  const asked = resourcesOfProgram({
    ...rest,
    ...(memory != null && { memory }),
    ...(cpus != null && { cpus }),
    ...(pids != null && { pids }),
  });
  return defined({
    ...asked,
    memory: memory === null ? { limit: -1, swap: -1 } : asked.memory,
    cpu: cpus === null ? { ...asked.cpu, quota: -1 } : asked.cpu,
    pids: pids === null ? { limit: -1 } : asked.pids,
  });
}

/** The container's resource limits with those that a program's own `limits` name. */
export function rlimitsOfProgram(
  container: readonly SpecRlimit[],
  limits: Limits = {},
): SpecRlimit[] {
  const own = new Map(container.map((limit) => [limit.type, limit]));
  const set = (type: string, value: number | undefined) => {
    if (value !== undefined) own.set(type, { type, soft: value, hard: value });
  };
  set('RLIMIT_NOFILE', limits.nofile);
  set('RLIMIT_FSIZE', size('limits.fsize', limits.fsize));
  return [...own.values()];
}
