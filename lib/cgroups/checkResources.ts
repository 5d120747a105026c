import { invalid } from '../errors.js';
import type { SpecResources, SpecThrottle } from '../spec/types.js';

/** Least memory limit taken: below it not even a static program gets as far as `main`. */
const leastMemory = 512 * 1024;

/** Largest `pids.max` the kernel takes (PID_MAX_LIMIT on 64 bit). */
const mostPids = 4_194_304;

/** The kernel's default CFS period, µs. */
export const defaultPeriod = 100_000;

/**
 * Refuses values that the kernel would refuse, or would take and not enforce, before anything is
 * created. `-1` stands for "no limit" where OCI has it.
 * @throws InvalidSpecError naming the field of `linux.resources`
 */
export function checkResources(resources: SpecResources): void {
  const { memory, cpu, pids, blockIO, hugepageLimits, unified } = resources;
  if (memory !== undefined) checkMemory(memory);
  if (cpu !== undefined) checkCpu(cpu);
  if (pids !== undefined && pids.limit !== -1) {
    whole('pids.limit', pids.limit, 1, mostPids, 'tasks, or -1');
  }
  if (blockIO !== undefined) checkBlockIo(blockIO);
  for (const { pageSize, limit } of hugepageLimits ?? []) {
    if (!/^[1-9]\d*(KB|MB|GB)$/.test(pageSize)) {
      throw invalid('linux.resources.hugepageLimits', 'a pageSize such as 2MB', pageSize);
    }
    whole('hugepageLimits', limit, 0, Number.MAX_SAFE_INTEGER, 'bytes');
  }
  for (const [file, value] of Object.entries(unified ?? {})) checkUnified(file, value);
}

function checkMemory({ limit, reservation, swap }: NonNullable<SpecResources['memory']>): void {
  const most = Number.MAX_SAFE_INTEGER;
  const capped = limit !== undefined && limit !== -1;
  if (capped) whole('memory.limit', limit, leastMemory, most, 'bytes, or -1');
  if (reservation !== undefined && reservation !== -1) {
    whole('memory.reservation', reservation, 0, capped ? limit : most, 'bytes, at most the limit');
  }
  if (swap === undefined || swap === -1) return;
  if (!capped) {
    throw invalid('linux.resources.memory.swap', 'a memory.limit beside it, or -1', swap);
  }
  whole('memory.swap', swap, limit, most, 'bytes of memory and swap together, or -1');
}

function checkCpu(cpu: NonNullable<SpecResources['cpu']>): void {
  const { shares, quota, period, burst, idle, cpus, mems } = cpu;
  if (shares !== undefined) whole('cpu.shares', shares, 2, 262_144, '(cpu.shares)');
  if (period !== undefined) whole('cpu.period', period, 1000, 1_000_000, 'µs');
  if (quota !== undefined && quota !== -1) {
    whole('cpu.quota', quota, 1000, Number.MAX_SAFE_INTEGER, 'µs each period, or -1');
  }
  if (burst !== undefined) {
    whole(
      'cpu.burst',
      burst,
      0,
      quota === undefined || quota < 0 ? 0 : quota,
      'µs, at most the quota',
    );
  }
  if (idle !== undefined) whole('cpu.idle', idle, 0, 1, '(SCHED_IDLE)');
  if (cpus !== undefined) parseList('linux.resources.cpu.cpus', cpus);
  if (mems !== undefined) parseList('linux.resources.cpu.mems', mems);
}

function checkBlockIo(io: NonNullable<SpecResources['blockIO']>): void {
  if (io.weight !== undefined) whole('blockIO.weight', io.weight, 10, 1000, '(a weight)');
  const { weight: _, ...lists } = io;
  for (const [name, throttles] of Object.entries(lists) as [string, SpecThrottle[]][]) {
    for (const { major, minor, rate } of throttles) {
      whole(`blockIO.${name}`, major, 0, 0xfff, '(a major number)');
      whole(`blockIO.${name}`, minor, 0, 0xfffff, '(a minor number)');
      whole(`blockIO.${name}`, rate, 1, Number.MAX_SAFE_INTEGER, 'per second');
    }
  }
}

/** Files that steer the cgroup itself, and must stay in the hands of ringfort, are not taken. */
function checkUnified(file: string, value: string): void {
  const option = 'linux.resources.unified';
  if (!/^[a-z][a-z_]*(\.[A-Za-z0-9_]+)+$/.test(file)) {
    throw invalid(option, 'names of cgroup v2 files such as memory.high', file);
  }
  if (file.startsWith('cgroup.') && !/^cgroup\.(max\.(depth|descendants)|pressure)$/.test(file)) {
    throw invalid(option, 'of the cgroup.* files only max.depth, max.descendants, pressure', file);
  }
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw invalid(`${option}[${JSON.stringify(file)}]`, 'text without NUL', value);
  }
}

function whole(field: string, value: number, least: number, most: number, unit: string): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  const bounds = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `in ${least}..${most}`;
  throw invalid(`linux.resources.${field}`, `a whole number ${bounds} ${unit}`, value);
}

/**
 * A CPU or memory node list in the kernel's format, such as `0-3,7`.
 * @throws InvalidSpecError naming `option`
 */
export function parseList(option: string, text: string): Set<number> {
  const numbers = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last < first) throw invalid(option, 'a list such as 0-3,7', text);
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  return numbers;
}
