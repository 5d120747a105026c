import type { SpecResources } from '../spec/types.js';
import { defaultPeriod } from './checkResources.js';
import type { ParentFacts } from './facts.js';
import { asked, type Controller, type Setting, settingsFor } from './resources.js';

/** What a file of the cgroup says now; undefined where it does not exist. */
export type Current = (file: string) => string | undefined;

/**
 * Like `settingsFor`, for a cgroup that has limits already: a field of -1 takes its limit away,
 * a field that is missing leaves its limit alone (but for swap, which follows the memory limit),
 * and the order is one that the kernel takes from where the limits are now.
 * @throws UnsupportedError, InvalidSpecError for what this parent cannot enforce
 */
export function liveSettings(
  controller: Controller,
  resources: SpecResources,
  facts: ParentFacts,
  current: Current,
): Setting[] {
  switch (controller) {
    case 'memory':
      return memory(resources, facts, current);
    case 'cpu':
      return cpu(resources, facts, current);
    case 'cpuset':
      return cpuset(resources, facts);
    case 'pids':
      return resources.pids?.limit === -1
        ? [{ file: 'pids.max', data: 'max' }]
        : settingsFor('pids', resources, facts);
    default:
      return settingsFor(controller, resources, facts);
  }
}

function memory(resources: SpecResources, facts: ParentFacts, current: Current): Setting[] {
  const { limit, reservation, swap } = resources.memory ?? {};
  const v1 = facts.version === 1;
  const set = settingsFor('memory', resources, facts).filter(
    // Whether it dies as a whole was decided when it was made.
    ({ file }) => file !== 'memory.oom.group' && file !== 'memory.oom_control',
  );
  const lift = (file: string, data: string) => {
    if (current(file) !== undefined) set.push({ file, data });
  };
  const [max, total] = v1
    ? ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes']
    : ['memory.max', 'memory.swap.max'];
  const none = v1 ? '-1' : 'max';
  if (limit === -1 || swap === -1) {
    lift(total, none);
    if (v1) lift('memory.swappiness', '60');
  }
  if (limit === -1) {
    lift(max, none);
    if (v1) lift('memory.kmem.tcp.limit_in_bytes', none);
  }
  if (reservation === -1) {
    lift(v1 ? 'memory.soft_limit_in_bytes' : 'memory.low', v1 ? '-1' : '0');
  }
  return v1 ? inOrder(set, total, Number(current(total) ?? 0)) : set;
}

/** The kernel keeps limit <= memsw.limit: where the limit passes it, memsw goes up first. */
function inOrder(settings: readonly Setting[], total: string, now: number): Setting[] {
  const limit = settings.find(({ file }) => file === 'memory.limit_in_bytes');
  const first = limit !== undefined && (limit.data === '-1' || Number(limit.data) > now);
  const sums = settings.filter(({ file }) => file === total);
  const others = settings.filter(({ file }) => file !== total);
  return first ? [...sums, ...others] : [...others, ...sums];
}

function cpu(resources: SpecResources, facts: ParentFacts, current: Current): Setting[] {
  const { quota, burst, period = defaultPeriod, idle } = resources.cpu ?? {};
  const v1 = facts.version === 1;
  const settings = settingsFor('cpu', resources, facts);
  if (quota === -1) {
    settings.push(
      v1 ? { file: 'cpu.cfs_quota_us', data: '-1' } : { file: 'cpu.max', data: `max ${period}` },
    );
  }
  const burstFile = v1 ? 'cpu.cfs_burst_us' : 'cpu.max.burst';
  // The quota may not fall below the burst, and an idle group takes no weight.
  const first = settings.filter(
    ({ file }) =>
      (file === burstFile && Number(burst) < Number(current(file) ?? 0)) ||
      (file === 'cpu.idle' && idle === 0),
  );
  return [...first, ...settings.filter((setting) => !first.includes(setting))];
}

/** Only the list that was asked for: v1 has filled both. */
function cpuset(resources: SpecResources, facts: ParentFacts): Setting[] {
  const fields = asked(resources, 'cpuset').map((field) => field.replace('cpu.', 'cpuset.'));
  return settingsFor('cpuset', resources, facts).filter(({ file }) => fields.includes(file));
}
