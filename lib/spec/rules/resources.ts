import type { SpecDeviceRule, SpecResources, SpecThrottle } from '../types.js';
import { boolean, integer, list, object, oneOf, type Rule, record } from './rule.js';
import { matching, text } from './text.js';

/** Below this a container cannot even start; docker's minimum, too. */
export const minMemory = 6 * 1024 * 1024;

const natural = integer(0, Number.MAX_SAFE_INTEGER);
const unlimitedOr = (min: number): Rule => {
  const number = integer(min, Number.MAX_SAFE_INTEGER);
  return (value, at) => {
    if (value !== -1) number(value, at);
  };
};

/** Tasks: PID_MAX_LIMIT of 64-bit kernels is the most there can be. @see proc_sys_kernel(5) */
export const pids: Rule = integer(1, 4194304);

/** CPU or memory node numbers, such as `0-1,3`. @see cpuset(7), "List format" */
export const cpuList: Rule = (value, at) => {
  const expected = "numbers and ranges such as '0-1,3'";
  matching(/^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/, expected)(value, at);
  for (const range of (value as string).split(',')) {
    const [first = 0, last = first] = range.split('-').map(Number);
    if (first > last) throw at.invalid(expected, value);
  }
};

const deviceRule = object<SpecDeviceRule>(
  {
    allow: boolean,
    type: oneOf('a', 'b', 'c'),
    major: integer(-1, 4095),
    minor: integer(-1, 1048575),
    access: matching(/^[rwm]{1,3}$/, "letters of 'rwm'"),
  },
  { required: ['allow'] },
);

const throttles = list(
  object<SpecThrottle>(
    {
      major: integer(0, 4095),
      minor: integer(0, 1048575),
      rate: integer(1, Number.MAX_SAFE_INTEGER),
    },
    { required: ['major', 'minor', 'rate'] },
  ),
  1000,
);

/** cgroup v2 files whose limits have a field of their own, which alone is asked. */
const fieldOf: Readonly<Record<string, string>> = {
  'memory.max': 'memory.limit',
  'memory.swap.max': 'memory.swap',
  'pids.max': 'pids.limit',
};

const unifiedName: Rule = (value, at) => {
  matching(
    /^[a-z0-9]+(\.[A-Za-z0-9_-]+)+$/,
    "a cgroup v2 file, such as 'memory.high'",
    255,
  )(value, at);
  const field = fieldOf[value as string];
  if (field !== undefined) throw at.invalid(`the field ${field} instead`);
  if ((value as string).startsWith('cgroup.')) throw at.invalid('a file of a controller');
};

/** @see https://www.kernel.org/doc/html/latest/admin-guide/cgroup-v2.html */
export const resources: Rule = object<SpecResources>(
  {
    devices: list(deviceRule, 1000),
    memory: object<NonNullable<SpecResources['memory']>>(
      {
        limit: integer(minMemory, Number.MAX_SAFE_INTEGER),
        reservation: natural,
        swap: unlimitedOr(minMemory),
        disableOOMKiller: boolean,
      },
      { unsupported: ['checkBeforeUpdate', 'kernel', 'kernelTCP', 'swappiness', 'useHierarchy'] },
    ),
    cpu: object<NonNullable<SpecResources['cpu']>>(
      {
        shares: integer(2, 262144),
        // The scheduler's bounds, in µs: min_cfs_quota_period and max_cfs_quota_period.
        quota: unlimitedOr(1000),
        burst: natural,
        period: integer(1000, 1000000),
        cpus: cpuList,
        mems: cpuList,
        idle: integer(0, 1),
      },
      { unsupported: ['realtimeRuntime', 'realtimePeriod'] },
    ),
    pids: object<NonNullable<SpecResources['pids']>>({ limit: pids }, { required: ['limit'] }),
    blockIO: object<NonNullable<SpecResources['blockIO']>>(
      {
        weight: integer(10, 1000),
        throttleReadBpsDevice: throttles,
        throttleWriteBpsDevice: throttles,
        throttleReadIOPSDevice: throttles,
        throttleWriteIOPSDevice: throttles,
      },
      { unsupported: ['leafWeight', 'weightDevice'] },
    ),
    hugepageLimits: list(
      object<NonNullable<SpecResources['hugepageLimits']>[number]>(
        { pageSize: matching(/^[1-9]\d*[KMG]B$/, "a page size such as '2MB'"), limit: natural },
        { required: ['pageSize', 'limit'] },
      ),
      100,
    ),
    unified: record(unifiedName, text()),
  },
  { unsupported: ['network', 'rdma'] },
);
