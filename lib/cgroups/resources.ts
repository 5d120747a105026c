import { invalid } from '../errors.js';
import type { SpecResources } from '../spec/types.js';
import { defaultPeriod, parseList } from './checkResources.js';
import type { ParentFacts } from './facts.js';
import { ioSettings } from './ioSettings.js';
import { memorySettings } from './memorySettings.js';
import { weightFromShares } from './weights.js';

/** One write of a limit into the container's cgroup. */
export interface Setting {
  file: string;
  data: string;
}

/** Controllers that OCI resources need, by their v2 names; `devices` is none on v2, but eBPF. */
export const controllers = ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids'] as const;
/** One of them. */
export type Controller = (typeof controllers)[number];

/** The same controller's name on v1. */
export function v1Name(controller: string): string {
  return controller === 'io' ? 'blkio' : controller;
}

/**
 * The fields of `linux.resources` that ask something of a controller, such as `memory.limit`.
 * A field that says "no limit" asks nothing.
 */
export function asked(resources: SpecResources, controller: Controller): string[] {
  const { memory = {}, cpu = {}, pids, blockIO = {}, hugepageLimits = [] } = resources;
  const { cpus, mems, quota, shares, burst, idle } = cpu;
  const fields: Record<Controller, Record<string, unknown>> = {
    cpuset: { 'cpu.cpus': cpus, 'cpu.mems': mems },
    cpu: { 'cpu.shares': shares, 'cpu.quota': quota, 'cpu.burst': burst, 'cpu.idle': idle },
    io: Object.fromEntries(
      Object.entries(blockIO).map(([key, value]) => [`blockIO.${key}`, value]),
    ),
    memory: {
      'memory.limit': memory.limit,
      // Memory is never limited without swap: what OCI leaves open is closed.
      'memory.swap': memory.limit === -1 ? undefined : (memory.swap ?? memory.limit),
      'memory.reservation': memory.reservation,
      'memory.disableOOMKiller': memory.disableOOMKiller || undefined,
    },
    hugetlb: { hugepageLimits: hugepageLimits.length > 0 ? hugepageLimits : undefined },
    pids: { 'pids.limit': pids?.limit },
  };
  return Object.entries(fields[controller])
    .filter(([, value]) => value !== undefined && value !== -1)
    .map(([name]) => name);
}

/**
 * What to write for one controller, in the order that the kernel wants it.
 * Values have passed `checkResources`.
 * @throws UnsupportedError, InvalidSpecError for what this parent cannot enforce
 */
export function settingsFor(
  controller: Controller,
  resources: SpecResources,
  facts: ParentFacts,
): Setting[] {
  switch (controller) {
    case 'memory':
      return memorySettings(resources.memory ?? {}, facts);
    case 'cpu':
      return cpuSettings(resources.cpu ?? {}, facts.version);
    case 'cpuset':
      return cpusetSettings(resources.cpu ?? {}, facts);
    case 'io':
      return ioSettings(resources.blockIO ?? {}, facts);
    case 'hugetlb':
      return hugetlbSettings(resources.hugepageLimits ?? [], facts.version);
    case 'pids':
      return resources.pids === undefined || resources.pids.limit === -1
        ? []
        : [{ file: 'pids.max', data: String(resources.pids.limit) }];
  }
}

function cpuSettings(cpu: NonNullable<SpecResources['cpu']>, version: 1 | 2): Setting[] {
  const { shares, quota = -1, period = defaultPeriod, burst, idle } = cpu;
  const settings: Setting[] = [];
  const set = (file: string, value: string | number) =>
    settings.push({ file, data: String(value) });
  if (shares !== undefined) {
    if (version === 1) set('cpu.shares', shares);
    else set('cpu.weight', weightFromShares(shares));
  }
  if (quota !== -1 && version === 1) {
    set('cpu.cfs_period_us', period);
    set('cpu.cfs_quota_us', quota);
  } else if (quota !== -1) {
    set('cpu.max', `${quota} ${period}`);
  }
  // The kernel bounds burst by the quota, so the quota stands first.
  if (burst !== undefined) set(version === 1 ? 'cpu.cfs_burst_us' : 'cpu.max.burst', burst);
  // An idle group refuses a weight, so idle comes last.
  if (idle !== undefined) set('cpu.idle', idle);
  return settings;
}

/**
 * v1 needs both lists, and takes no CPU that the parent lacks; v2 takes any list and then quietly
 * uses the parent's when nothing of it is left, so the check is ours.
 */
function cpusetSettings(cpu: NonNullable<SpecResources['cpu']>, facts: ParentFacts): Setting[] {
  const { cpus, mems } = cpu;
  if (cpus !== undefined) subset('linux.resources.cpu.cpus', cpus, facts.cpus);
  if (mems !== undefined) subset('linux.resources.cpu.mems', mems, facts.mems);
  const inherit = facts.version === 1;
  const lists = [
    { file: 'cpuset.cpus', data: cpus ?? (inherit ? facts.cpus : undefined) },
    { file: 'cpuset.mems', data: mems ?? (inherit ? facts.mems : undefined) },
  ];
  return lists.filter((setting): setting is Setting => setting.data !== undefined);
}

function subset(option: string, list: string, available: string): void {
  const allowed = available === '' ? new Set<number>() : parseList(option, available);
  for (const number of parseList(option, list)) {
    if (!allowed.has(number)) throw invalid(option, `a part of ${available || 'nothing'}`, list);
  }
}

/** Reservations are limited along with pages in use, or a guest could hold what it never touches. */
function hugetlbSettings(
  limits: NonNullable<SpecResources['hugepageLimits']>,
  version: 1 | 2,
): Setting[] {
  const suffix = version === 1 ? 'limit_in_bytes' : 'max';
  return limits.flatMap(({ pageSize, limit }) => [
    { file: `hugetlb.${pageSize}.${suffix}`, data: String(limit) },
    { file: `hugetlb.${pageSize}.rsvd.${suffix}`, data: String(limit) },
  ]);
}
