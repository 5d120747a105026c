import { describe, expect, test } from '@jest/globals';
import { parseCounters } from '../../lib/cgroups/counters.js';
import type { ParentFacts } from '../../lib/cgroups/facts.js';
import { liveSettings } from '../../lib/cgroups/liveSettings.js';
import { parsePressure } from '../../lib/cgroups/pressure.js';
import type { Controller } from '../../lib/cgroups/resources.js';
import type { SpecResources } from '../../lib/spec/types.js';

const MiB = 1 << 20;

describe('parseCounters', () => {
  test('memory.stat of v2, and of v1 with what is below', () => {
    const v2 =
      'anon 10\nfile 20\nkernel 30\nkernel_stack 1\npagetables 2\nsock 3\nshmem 4\nslab 5\n';
    expect(parseCounters('/x/memory.stat', `${v2}file_mapped 6\nfile_dirty 7\n`)).toEqual({
      anonBytes: 10,
      fileBytes: 20,
      kernelBytes: 30,
      kernelStackBytes: 1,
      pageTablesBytes: 2,
      sockBytes: 3,
      shmemBytes: 4,
      slabBytes: 5,
      fileMappedBytes: 6,
      fileDirtyBytes: 7,
    });
    const v1 =
      'cache 1\nrss 1\nswap 1\ntotal_cache 50\ntotal_rss 60\ntotal_shmem 7\ntotal_swap 8\n';
    expect(parseCounters('/x/memory.stat', v1)).toEqual({
      fileBytes: 50,
      anonBytes: 60,
      shmemBytes: 7,
      swapBytes: 8,
    });
  });

  test('no limit is no number', () => {
    expect(parseCounters('/x/memory.max', 'max\n')).toEqual({});
    expect(parseCounters('/x/memory.max', '4096\n')).toEqual({ memoryLimitBytes: 4096 });
    expect(parseCounters('/x/memory.limit_in_bytes', '9223372036854771712\n')).toEqual({});
    expect(parseCounters('/x/pids.max', 'max\n')).toEqual({});
  });

  test('operations beside bytes', () => {
    const stat = '8:0 rbytes=100 wbytes=20 rios=3 wios=1\n8:16 rbytes=1 wbytes=1 rios=1 wios=1\n';
    expect(parseCounters('/x/io.stat', stat)).toEqual({
      ioReadBytes: 101,
      ioWriteBytes: 21,
      ioReads: 4,
      ioWrites: 2,
    });
    const v1 = '8:0 Read 10\n8:0 Write 4\n8:0 Total 14\nTotal 14\n';
    expect(parseCounters('/x/blkio.throttle.io_serviced_recursive', v1)).toEqual({
      ioReads: 10,
      ioWrites: 4,
    });
  });

  test('what the CPU quota did', () => {
    const stat = 'usage_usec 5000\nnr_periods 8\nnr_throttled 2\nthrottled_usec 1500\n';
    expect(parseCounters('/x/cpu.stat', stat)).toEqual({
      cpuTimeMs: 5,
      periods: 8,
      throttledPeriods: 2,
      throttledMs: 1.5,
    });
  });

  test('a file that is not known says nothing', () => {
    expect(parseCounters('/x/cgroup.procs', '1\n')).toEqual({});
  });
});

describe('parsePressure', () => {
  const some = 'some avg10=0.08 avg60=1.73 avg300=12.00 total=11272982\n';
  const stall = { avg10: 0.08, avg60: 1.73, avg300: 12, totalUs: 11_272_982 };

  test('with and without full', () => {
    expect(parsePressure(some)).toEqual({ some: stall });
    const full = 'full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n';
    expect(parsePressure(some + full)).toEqual({
      some: stall,
      full: { avg10: 0, avg60: 0, avg300: 0, totalUs: 1 },
    });
  });

  test('nothing of nothing', () => {
    expect(parsePressure('')).toBeUndefined();
  });
});

const facts: Omit<ParentFacts, 'version'> = {
  swapFiles: true,
  socketFiles: false,
  noSwap: false,
  cpus: '0-3',
  mems: '0',
  weightFile: undefined,
};

function words(
  version: 1 | 2,
  controller: Controller,
  resources: SpecResources,
  now: Record<string, string>,
): string[] {
  const settings = liveSettings(controller, resources, { ...facts, version }, (file) => now[file]);
  return settings.map(({ file, data }) => `${file} ${data}`);
}

describe('limits of what runs', () => {
  const v1Memory = {
    'memory.limit_in_bytes': `${64 * MiB}\n`,
    'memory.memsw.limit_in_bytes': `${64 * MiB}\n`,
    'memory.swappiness': '0\n',
    'memory.soft_limit_in_bytes': '9223372036854771712\n',
  };

  test('v1 memory: down, the limit comes first; up, the sum with swap', () => {
    const update = (limit: number) =>
      words(1, 'memory', { memory: { limit } }, v1Memory).filter(
        (word) => !/swappiness/.test(word),
      );
    expect(update(32 * MiB)).toEqual([
      `memory.limit_in_bytes ${32 * MiB}`,
      `memory.memsw.limit_in_bytes ${32 * MiB}`,
    ]);
    expect(update(128 * MiB)).toEqual([
      `memory.memsw.limit_in_bytes ${128 * MiB}`,
      `memory.limit_in_bytes ${128 * MiB}`,
    ]);
  });

  test('v1 memory: no limit any more', () => {
    const memory = { limit: -1, reservation: -1 };
    expect(words(1, 'memory', { memory }, v1Memory)).toEqual([
      'memory.memsw.limit_in_bytes -1',
      'memory.swappiness 60',
      'memory.limit_in_bytes -1',
      'memory.soft_limit_in_bytes -1',
    ]);
  });

  test('v2 memory: how it dies is not changed, swap follows', () => {
    const now = { 'memory.max': 'max\n', 'memory.swap.max': 'max\n', 'memory.low': '0\n' };
    const update = (memory: SpecResources['memory']) =>
      words(2, 'memory', memory === undefined ? {} : { memory }, now);
    expect(update({ limit: MiB })).toEqual([`memory.max ${MiB}`, 'memory.swap.max 0']);
    expect(update({ limit: MiB, swap: -1 })).toEqual([`memory.max ${MiB}`, 'memory.swap.max max']);
    expect(update({ limit: -1 })).toEqual(['memory.swap.max max', 'memory.max max']);
    expect(update({ reservation: -1 })).toEqual(['memory.low 0']);
    expect(update(undefined)).toEqual([]);
  });

  test('cpu: the burst never exceeds the quota; an idle group takes no weight', () => {
    const now = { 'cpu.max.burst': '40000\n' };
    const update = (cpu: SpecResources['cpu']) =>
      words(2, 'cpu', cpu === undefined ? {} : { cpu }, now);
    expect(update({ quota: 20_000, burst: 10_000 })).toEqual([
      'cpu.max.burst 10000',
      'cpu.max 20000 100000',
    ]);
    expect(update({ quota: 90_000, burst: 80_000 })).toEqual([
      'cpu.max 90000 100000',
      'cpu.max.burst 80000',
    ]);
    expect(update({ quota: -1 })).toEqual(['cpu.max max 100000']);
    expect(update({ idle: 0, shares: 1024 })).toEqual(['cpu.idle 0', 'cpu.weight 100']);
    expect(update({ idle: 1 })).toEqual(['cpu.idle 1']);
    expect(words(1, 'cpu', { cpu: { quota: -1 } }, {})).toEqual(['cpu.cfs_quota_us -1']);
  });

  test('cpuset: only the list that was asked for', () => {
    expect(words(1, 'cpuset', { cpu: { cpus: '1' } }, {})).toEqual(['cpuset.cpus 1']);
    expect(words(2, 'cpuset', { cpu: { mems: '0' } }, {})).toEqual(['cpuset.mems 0']);
    expect(() => words(2, 'cpuset', { cpu: { cpus: '9' } }, {})).toThrow(/cpu.cpus: .*0-3/);
  });

  test('pids: no limit any more', () => {
    expect(words(2, 'pids', { pids: { limit: -1 } }, {})).toEqual(['pids.max max']);
    expect(words(2, 'pids', { pids: { limit: 9 } }, {})).toEqual(['pids.max 9']);
    expect(words(2, 'pids', {}, {})).toEqual([]);
  });
});
