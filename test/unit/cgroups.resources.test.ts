import { describe, expect, test } from '@jest/globals';
import { checkResources } from '../../lib/cgroups/checkResources.js';
import type { ParentFacts } from '../../lib/cgroups/facts.js';
import { addIoLimits } from '../../lib/cgroups/ioSettings.js';
import { asked, settingsFor } from '../../lib/cgroups/resources.js';
import { ioWeight, sharesFromWeight, weightFromShares } from '../../lib/cgroups/weights.js';
import type { SpecResources } from '../../lib/spec/types.js';

const MiB = 1 << 20;

function facts(version: 1 | 2, more: Partial<ParentFacts> = {}): ParentFacts {
  return {
    version,
    swapFiles: true,
    noSwap: false,
    socketFiles: false,
    cpus: '0-3',
    mems: '0',
    weightFile: version === 1 ? 'blkio.bfq.weight' : 'io.weight',
    ...more,
  };
}

/** `file=data` of each write. */
function writes(...args: Parameters<typeof settingsFor>): string[] {
  return settingsFor(...args).map(({ file, data }) => `${file}=${data}`);
}

describe('memory', () => {
  const limited = { memory: { limit: 64 * MiB } };

  test('v2: no swap unless it is given, and the container dies as a whole', () => {
    expect(writes('memory', limited, facts(2))).toEqual([
      `memory.max=${64 * MiB}`,
      'memory.swap.max=0',
      'memory.oom.group=1',
    ]);
  });

  test('v1: the limit before memory and swap together', () => {
    expect(writes('memory', limited, facts(1))).toEqual([
      `memory.limit_in_bytes=${64 * MiB}`,
      `memory.memsw.limit_in_bytes=${64 * MiB}`,
      'memory.swappiness=0',
    ]);
  });

  test('swap is memory and swap together, as OCI has it', () => {
    const both = { memory: { limit: 64 * MiB, swap: 96 * MiB, reservation: 8 * MiB } };
    expect(writes('memory', both, facts(2))).toEqual([
      `memory.max=${64 * MiB}`,
      `memory.swap.max=${32 * MiB}`,
      `memory.low=${8 * MiB}`,
      'memory.oom.group=1',
    ]);
    expect(writes('memory', both, facts(1))).toEqual([
      `memory.limit_in_bytes=${64 * MiB}`,
      `memory.memsw.limit_in_bytes=${96 * MiB}`,
      `memory.soft_limit_in_bytes=${8 * MiB}`,
    ]);
  });

  test('unlimited swap is not written', () => {
    const open = { memory: { limit: 64 * MiB, swap: -1 } };
    expect(writes('memory', open, facts(2))).toEqual([
      `memory.max=${64 * MiB}`,
      'memory.oom.group=1',
    ]);
    expect(asked(open, 'memory')).toEqual(['memory.limit']);
  });

  test('without swap accounting: enough on a machine without swap, refused elsewhere', () => {
    const bare = { swapFiles: false, noSwap: true };
    expect(writes('memory', limited, facts(1, bare))).toEqual([
      `memory.limit_in_bytes=${64 * MiB}`,
      'memory.swappiness=0',
    ]);
    expect(() => settingsFor('memory', limited, facts(2, { swapFiles: false }))).toThrow(
      expect.objectContaining({ code: 'ERR_CGROUP_UNAVAILABLE', phase: 'cgroup' }),
    );
  });

  test('the OOM killer can be held off on v1 only', () => {
    const off = { memory: { limit: MiB, disableOOMKiller: true } };
    expect(writes('memory', off, facts(1))).toContain('memory.oom_control=1');
    expect(() => settingsFor('memory', off, facts(2))).toThrow('disableOOMKiller');
  });
});

describe('cpu', () => {
  const all = { cpu: { shares: 1024, quota: 50_000, burst: 1000, idle: 1 } };

  test('v2', () => {
    expect(writes('cpu', all, facts(2))).toEqual([
      'cpu.weight=100',
      'cpu.max=50000 100000',
      'cpu.max.burst=1000',
      'cpu.idle=1',
    ]);
  });

  test('v1', () => {
    expect(writes('cpu', all, facts(1))).toEqual([
      'cpu.shares=1024',
      'cpu.cfs_period_us=100000',
      'cpu.cfs_quota_us=50000',
      'cpu.cfs_burst_us=1000',
      'cpu.idle=1',
    ]);
  });

  test('a quota of -1 asks nothing', () => {
    expect(asked({ cpu: { quota: -1, period: 5000 } }, 'cpu')).toEqual([]);
    expect(writes('cpu', { cpu: { quota: -1 } }, facts(1))).toEqual([]);
  });
});

describe('cpuset', () => {
  test('v1 fills both lists, v2 inherits by itself', () => {
    expect(writes('cpuset', { cpu: { cpus: '1' } }, facts(1))).toEqual([
      'cpuset.cpus=1',
      'cpuset.mems=0',
    ]);
    expect(writes('cpuset', { cpu: { cpus: '1' } }, facts(2))).toEqual(['cpuset.cpus=1']);
  });

  test('v1 lists are filled even when nothing is asked', () => {
    expect(writes('cpuset', {}, facts(1))).toEqual(['cpuset.cpus=0-3', 'cpuset.mems=0']);
  });

  test.each([1, 2] as const)('v%d: a CPU that the parent lacks is refused', (version) => {
    const spec = { cpu: { cpus: '2-4' } };
    expect(() => settingsFor('cpuset', spec, facts(version))).toThrow(
      'linux.resources.cpu.cpus: expected a part of 0-3, got "2-4"',
    );
  });
});

describe('pids, io, hugetlb', () => {
  test('pids', () => {
    expect(writes('pids', { pids: { limit: 32 } }, facts(2))).toEqual(['pids.max=32']);
    expect(writes('pids', { pids: { limit: -1 } }, facts(2))).toEqual([]);
  });

  const io: SpecResources = {
    blockIO: {
      weight: 1000,
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1000 }],
      throttleWriteIOPSDevice: [
        { major: 8, minor: 0, rate: 20 },
        { major: 8, minor: 16, rate: 30 },
      ],
    },
  };

  test('io: v2 has one line a device', () => {
    expect(writes('io', io, facts(2))).toEqual([
      'io.weight=10000',
      'io.max=8:0 rbps=1000 wiops=20',
      'io.max=8:16 wiops=30',
    ]);
    expect(
      writes('io', { blockIO: { weight: 500 } }, facts(2, { weightFile: 'io.bfq.weight' })),
    ).toEqual(['io.bfq.weight=500']);
  });

  test('io: v1 has one file a kind', () => {
    expect(writes('io', io, facts(1))).toEqual([
      'blkio.bfq.weight=1000',
      'blkio.throttle.read_bps_device=8:0 1000',
      'blkio.throttle.write_iops_device=8:0 20',
      'blkio.throttle.write_iops_device=8:16 30',
    ]);
  });

  test('io: a weight that nothing takes is refused', () => {
    const nothing = facts(2, { weightFile: undefined });
    expect(() => settingsFor('io', io, nothing)).toThrow('neither io.weight nor io.bfq.weight');
  });

  test('io: limits by device number are added to those of the spec', () => {
    const added = [{ device: '8:0', readBps: 5, writeIops: 6 }];
    const given = { throttleReadBpsDevice: [{ major: 9, minor: 9, rate: 1 }] };
    expect(addIoLimits({ pids: { limit: 1 }, blockIO: given }, added)).toEqual({
      pids: { limit: 1 },
      blockIO: {
        throttleReadBpsDevice: [
          { major: 9, minor: 9, rate: 1 },
          { major: 8, minor: 0, rate: 5 },
        ],
        throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 6 }],
      },
    });
  });

  test.each(['/dev/null', '/nonexistent'])('io: %s is no block device', (device) => {
    expect(() => addIoLimits({}, [{ device, readBps: 1 }])).toThrow(
      'limits.io: expected a block device or major:minor',
    );
  });

  test('hugetlb: reservations are limited, too', () => {
    const pages = { hugepageLimits: [{ pageSize: '2MB', limit: 0 }] };
    expect(writes('hugetlb', pages, facts(2))).toEqual([
      'hugetlb.2MB.max=0',
      'hugetlb.2MB.rsvd.max=0',
    ]);
    expect(writes('hugetlb', pages, facts(1))).toEqual([
      'hugetlb.2MB.limit_in_bytes=0',
      'hugetlb.2MB.rsvd.limit_in_bytes=0',
    ]);
  });
});

describe('weights', () => {
  test('the fixed points of the formula', () => {
    expect([2, 1024, 262_144].map(weightFromShares)).toEqual([1, 100, 10_000]);
    expect([10, 1000].map(ioWeight)).toEqual([1, 10_000]);
  });

  test('every weight comes back from its shares', () => {
    const weights = Array.from({ length: 10_000 }, (_, at) => at + 1);
    expect(weights.map((weight) => weightFromShares(sharesFromWeight(weight)))).toEqual(weights);
  });
});

describe('checkResources', () => {
  test.each<[string, SpecResources]>([
    ['memory.limit', { memory: { limit: 512 * 1024 - 1 } }],
    ['memory.reservation', { memory: { limit: MiB, reservation: 2 * MiB } }],
    ['memory.swap', { memory: { limit: 2 * MiB, swap: MiB } }],
    ['memory.swap', { memory: { swap: MiB } }],
    ['cpu.shares', { cpu: { shares: 1 } }],
    ['cpu.quota', { cpu: { quota: 999 } }],
    ['cpu.quota', { cpu: { quota: 1000.5 } }],
    ['cpu.period', { cpu: { period: 999 } }],
    ['cpu.period', { cpu: { period: 1_000_001 } }],
    ['cpu.burst', { cpu: { burst: 1 } }],
    ['cpu.burst', { cpu: { quota: 2000, burst: 2001 } }],
    ['cpu.cpus', { cpu: { cpus: '3-1' } }],
    ['cpu.mems', { cpu: { mems: '0,' } }],
    ['pids.limit', { pids: { limit: 0 } }],
    ['blockIO.weight', { blockIO: { weight: 9 } }],
    [
      'blockIO.throttleReadBpsDevice',
      { blockIO: { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 0 }] } },
    ],
    ['hugepageLimits', { hugepageLimits: [{ pageSize: '2MiB', limit: 0 }] }],
    ['unified', { unified: { '../memory.max': '1' } }],
    ['unified', { unified: { 'cgroup.procs': '1' } }],
    ['unified', { unified: { 'cgroup.subtree_control': '+pids' } }],
    ['unified["memory.high"]', { unified: { 'memory.high': '1\0' } }],
  ])('refuses a wrong %s', (field, resources) => {
    expect(() => checkResources(resources)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', option: `linux.resources.${field}` }),
    );
  });

  test('takes what OCI writes for "no limit"', () => {
    const none = { memory: { limit: -1, swap: -1 }, cpu: { quota: -1 }, pids: { limit: -1 } };
    expect(() => checkResources(none)).not.toThrow();
  });
});
