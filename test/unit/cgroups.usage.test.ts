import { describe, expect, test } from '@jest/globals';
import { parseUsage, verdict } from '../../lib/cgroups/usage.js';

const rusage = { userUs: 7000, systemUs: 3000, maxRssBytes: 1 << 20 };

describe('parseUsage', () => {
  test('v2', () => {
    const usage = parseUsage(
      [
        {
          path: '/cg/x/cpu.stat',
          data: 'usage_usec 2500\nuser_usec 1500\nsystem_usec 1000\nnr_periods 4\nthrottled_usec 900\n',
        },
        { path: '/cg/x/memory.peak', data: '4096000\n' },
        { path: '/cg/x/memory.events', data: 'low 0\nhigh 0\nmax 9\noom 1\noom_kill 3\n' },
        { path: '/cg/x/pids.peak', data: '12\n' },
        { path: '/cg/x/pids.events', data: 'max 2\n' },
        {
          path: '/cg/x/io.stat',
          data: '8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=5 dios=1\n254:0 rbytes=11 wbytes=2\n',
        },
      ],
      rusage,
    );
    expect(usage).toEqual({
      cpuTimeMs: 2.5,
      userMs: 1.5,
      systemMs: 1,
      throttledMs: 0.9,
      peakMemoryBytes: 4_096_000,
      oomKills: 3,
      maxPids: 12,
      pidsLimitHits: 2,
      ioReadBytes: 111,
      ioWriteBytes: 22,
    });
    expect(verdict(usage)).toEqual({ oom: true, pids: true });
  });

  test('v1', () => {
    const usage = parseUsage(
      [
        { path: '/cpu/x/cpu.stat', data: 'nr_periods 3\nnr_throttled 1\nthrottled_time 4000000\n' },
        { path: '/acct/x/cpuacct.usage', data: '30000000\n' },
        { path: '/acct/x/cpuacct.usage_user', data: '20000000\n' },
        { path: '/acct/x/cpuacct.usage_sys', data: '10000000\n' },
        { path: '/mem/x/memory.max_usage_in_bytes', data: '8192\n' },
        {
          path: '/mem/x/memory.oom_control',
          data: 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n',
        },
        {
          path: '/blk/x/blkio.throttle.io_service_bytes_recursive',
          data: '8:0 Read 10\n8:0 Write 4\n8:0 Total 14\n8:16 Read 1\nTotal 15\n',
        },
      ],
      rusage,
    );
    expect(usage).toEqual({
      cpuTimeMs: 30,
      userMs: 20,
      systemMs: 10,
      throttledMs: 4,
      peakMemoryBytes: 8192,
      oomKills: 0,
      ioReadBytes: 11,
      ioWriteBytes: 4,
    });
    expect(verdict(usage)).toEqual({ oom: false, pids: false });
    expect(verdict(usage, true).oom).toBe(true);
  });

  test('the v2 tree of a hybrid host and the v1 quota go together', () => {
    const usage = parseUsage(
      [
        { path: '/u/x/cpu.stat', data: 'usage_usec 10\nuser_usec 10\nsystem_usec 0\n' },
        { path: '/cpu/x/cpu.stat', data: 'nr_periods 0\nthrottled_time 1000000\n' },
      ],
      rusage,
    );
    expect(usage).toMatchObject({ cpuTimeMs: 0.01, throttledMs: 1 });
  });

  test('without any cgroup, what wait4 said; files that are missing count as not counted', () => {
    const usage = parseUsage([{ path: '/cg/x/pids.peak', errno: -2 }], rusage);
    expect(usage).toEqual({ cpuTimeMs: 10, userMs: 7, systemMs: 3, peakMemoryBytes: 1 << 20 });
  });
});
