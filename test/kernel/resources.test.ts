import { mkdirSync, rmdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { detectCgroups } from '../../lib/cgroups/detect.js';
import { parentIn } from '../../lib/cgroups/place.js';
import { run } from '../../lib/index.js';
import { until } from '../helpers/launches.js';
import {
  containerCgroups,
  expectNoLeaks,
  ownCgroups,
  type Snapshot,
  snapshot,
} from '../helpers/leaks.js';
import { cgroups, command, controller, type Requirement, suite } from '../helpers/needs.js';

const sh = (script: string, options = {}) => run('sh', ['-c', script], options);
const spin = 'while :; do :; done';
const MiB = 1 << 20;

suite('limits of a whole container', [cgroups], () => {
  describe('memory', () => {
    const eat = `python3 -c "b = bytearray(256 << 20); print('alive')"`;
    suite('beyond the limit', [command('python3')], () => {
      test('a child of the shell ends the whole container', async () => {
        const script = `sleep 1000 & ${eat}; echo the shell lives on; sleep 1000`;
        const [result, other] = await Promise.all([
          sh(script, { limits: { memory: '32MiB' }, timeout: 30_000 }),
          sh('sleep 0.5; echo unharmed', { limits: { memory: '32MiB' } }),
        ]);
        expect(result).toMatchObject({
          reason: 'oom',
          exitCode: null,
          signal: 'SIGKILL',
          stdout: '',
          failed: true,
          timedOut: false,
        });
        expect(other).toMatchObject({ stdout: 'unharmed\n', reason: 'exit' });
      });

      test('swap does not help', async () => {
        const limits = { memory: '32MiB' };
        expect(await sh(eat, { limits, timeout: 30_000 })).toMatchObject({ reason: 'oom' });
      });
    });

    suite('within the limit', [command('python3')], () => {
      test('nothing happens, and the peak is counted', async () => {
        const result = await sh(eat, { limits: { memory: '400MiB' } });
        expect(result).toMatchObject({ stdout: 'alive\n', reason: 'exit' });
        expect(result.usage.peakMemoryBytes).toBeGreaterThan(250 * MiB);
        expect(result.usage.peakMemoryBytes).toBeLessThanOrEqual(400 * MiB);
      });
    });

    test('a private tmpfs is bounded', async () => {
      const script = 'dd if=/dev/zero of=/tmp/f bs=1M count=1000; ls -l /tmp/f';
      const result = await sh(script, { limits: { memory: '256MiB' } });
      expect(result.stderr).toContain('No space left on device');
      expect(result.stdout).toContain(` ${64 * MiB} `);
      expect(result.usage.peakMemoryBytes).toBeGreaterThan(64 * MiB);
    });

    test('files in memory are charged to the container', async () => {
      const script = 'dd if=/dev/zero of=/tmp/f bs=1M count=60; echo survived';
      const result = await sh(script, { limits: { memory: '32MiB' }, timeout: 30_000 });
      expect(result).toMatchObject({ reason: 'oom', stdout: '' });
    });
  });

  describe('pids', () => {
    suite('a fork bomb', [command('python3')], () => {
      test('stays in its box', async () => {
        // Over only when it has long been full, however slow the machine is.
        const bomb = 'import os\nwhile 1:\n  try: os.fork()\n  except OSError: os.write(1, b"x")';
        const options = {
          limits: { pids: 32 },
          maxBuffer: 4096,
          maxBufferAction: 'kill' as const,
        };
        const [result, other] = await Promise.all([
          run('python3', ['-c', bomb], options),
          sh('sleep 0.5; (echo forked)'),
        ]);
        expect(result).toMatchObject({ reason: 'output', usage: { maxPids: 32 } });
        expect(result.usage.pidsLimitHits).toBeGreaterThan(0);
        expect(other.stdout).toBe('forked\n');
      });
    });

    test('a refused fork that the program dies of is the reason', async () => {
      const script = 'for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; exit 0';
      const result = await sh(script, { limits: { pids: 4 } });
      expect(result).toMatchObject({ reason: 'pids', failed: true });
      expect(result.exitCode).not.toBe(0);
    });

    test('one that it gets over is no reason', async () => {
      const script = '(for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done) 2>/dev/null; exit 0';
      expect(await sh(script, { limits: { pids: 4 } })).toMatchObject({
        reason: 'exit',
        exitCode: 0,
        usage: { pidsLimitHits: expect.any(Number) },
      });
    });
  });

  describe('CPU', () => {
    test('cpuTime ends a busy loop', async () => {
      const result = await sh(spin, { limits: { cpuTime: 300 }, timeout: 60_000 });
      expect(result).toMatchObject({
        reason: 'cpu-time',
        signal: 'SIGKILL',
        failed: true,
        timedOut: false,
      });
      expect(result.usage.cpuTimeMs).toBeGreaterThanOrEqual(300);
      expect(result.usage.cpuTimeMs).toBeLessThan(3_000);
    });

    test('cpuTime counts all processes together', async () => {
      const script = `${spin} & ${spin} & ${spin} & wait`;
      expect(await sh(script, { limits: { cpuTime: 300 }, timeout: 60_000 })).toMatchObject({
        reason: 'cpu-time',
      });
    });

    test('cpuTime does not count waiting', async () => {
      const result = await sh('sleep 0.7', { limits: { cpuTime: 500 } });
      expect(result).toMatchObject({ reason: 'exit', exitCode: 0 });
    });

    suite('quota', [controller('cpu')], () => {
      test('cpus: 0.1 holds a busy loop back', async () => {
        const options = { limits: { cpus: 0.1 }, timeout: 2_000, killSignal: 'SIGKILL' };
        const { usage, reason } = await sh(spin, options);
        expect(reason).toBe('timeout');
        expect(usage.cpuTimeMs).toBeGreaterThan(0);
        expect(usage.cpuTimeMs).toBeLessThan(1_000);
        expect(usage.throttledMs).toBeGreaterThan(0);
      });

      test('cpuWeight', async () => {
        expect(await sh('exit 0', { limits: { cpuWeight: 50 } })).toMatchObject({ exitCode: 0 });
      });
    });

    suite('cpuset', [controller('cpuset')], () => {
      test('the program runs on these CPUs only', async () => {
        const { stdout } = await sh('grep Cpus_allowed_list /proc/self/status', {
          limits: { cpuset: '0' },
        });
        expect(stdout).toBe('Cpus_allowed_list:\t0\n');
      });

      test('a CPU that is not there is refused', async () => {
        await expect(sh('true', { limits: { cpuset: '0,9999' } })).rejects.toMatchObject({
          name: 'InvalidSpecError',
          option: expect.stringContaining('cpu'),
        });
      });
    });
  });

  describe('usage', () => {
    test('is what the kernel has counted', async () => {
      const { usage, durationMs } = await sh('i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done');
      expect(usage.cpuTimeMs).toBeGreaterThan(0);
      expect(usage.cpuTimeMs).toBeCloseTo(usage.userMs + usage.systemMs, 0);
      expect(usage.peakMemoryBytes).toBeGreaterThan(64 << 10);
      expect(usage.peakMemoryBytes).toBeLessThan(512 * MiB);
      expect(usage).toMatchObject({ oomKills: 0, pidsLimitHits: 0 });
      expect(usage.maxPids).toBeGreaterThanOrEqual(2);
      expect(durationMs).toBeGreaterThan(0);
    });
  });

  test("limits: 'none' gives up cgroup limits, and says so", async () => {
    const result = await sh('exit 0', { limits: 'none' });
    expect(result.exitCode).toBe(0);
    expect(result.isolation.missing).toContainEqual({ wall: 'limits', why: 'given up by name' });
    expect(result.isolation.enforced.filter((name) => name.startsWith('limit'))).toEqual([]);
  });

  test('the report names every wall and limit', async () => {
    const limits = { memory: '64MiB', pids: 16 };
    const { asked, enforced, missing } = (await sh('true', { limits })).isolation;
    for (const wall of ['namespace:user', 'root:read-only', 'seccomp', 'limits'])
      expect(enforced).toContain(wall);
    expect(enforced).toEqual(
      expect.arrayContaining(['limit:memory.limit', 'limit:memory.swap', 'limit:pids.limit']),
    );
    expect(asked.length).toBeGreaterThanOrEqual(enforced.length);
    expect(missing.map(({ wall }) => wall)).not.toContain('limits');
  });
});

suite('cgroupParent', [cgroups], () => {
  const name = `ringfort-parent-${process.pid}`;
  const made: string[] = [];
  beforeAll(() => {
    for (const directory of ownCgroups()) {
      try {
        mkdirSync(`${directory}/${name}`);
        made.push(`${directory}/${name}`);
      } catch {
        // A tree that we may not write to is not needed for the limits that are used here.
      }
    }
  });
  let before: Snapshot;
  beforeAll(async () => {
    await run('true');
    before = snapshot();
  });
  afterAll(() => {
    for (const directory of made) rmdirSync(directory);
  });

  /** Below `limits: 'none'` only the v2 tree is used, so the parent must be there alone. */
  const v2: Requirement = {
    name: 'cgroup v2 tree',
    check: () => (detectCgroups().unified === undefined ? 'none is mounted' : undefined),
  };

  suite('a cgroup of ours', [v2], () => {
    test('has the container below it while it runs, and nothing after', async () => {
      const { unified } = detectCgroups();
      const own = (unified && parentIn(unified, undefined)?.path) ?? '/';
      const cgroupParent = `${own === '/' ? '' : own}/${name}`;
      const stop = new AbortController();
      const { signal } = stop;
      const running = sh('sleep 600', { cgroupParent, limits: 'none', signal });
      await Promise.race([running, until(() => containerCgroups(made).length > 0)]);
      expect(containerCgroups(made)).toEqual([expect.stringContaining(`${name}/ringfort-`)]);
      stop.abort();
      await expect(running).rejects.toMatchObject({ name: 'AbortError' });
      await until(() => containerCgroups(made).length === 0);
      await expectNoLeaks(before);
    });
  });

  test.each([
    ['not/absolute', 'cgroupParent'],
    ['/a/../b', 'cgroupParent'],
    ['/with space', 'cgroupParent'],
  ])('%s is refused', async (cgroupParent, option) => {
    await expect(run('true', [], { cgroupParent })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      option,
    });
  });

  test('one that is not there', async () => {
    const parent = '/ringfort-no-such-parent';
    await expect(run('true', [], { cgroupParent: parent })).rejects.toMatchObject({
      name: 'NotFoundError',
      code: 'ERR_CGROUP_NOT_FOUND',
      phase: 'cgroup',
      option: 'cgroupParent',
    });
  });
});
