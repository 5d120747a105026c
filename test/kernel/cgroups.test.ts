import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type CgroupPlan,
  cpuTimeUs,
  currentCgroups,
  detectCgroups,
  directoryOf,
  parseUsage,
  planCgroup,
  type ReadResult,
  type Usage,
  verdict,
} from '../../lib/cgroups/index.js';
import { PlanBuilder } from '../../lib/plan/builder.js';
import type { Step } from '../../lib/plan/steps.js';
import { annotation } from '../../lib/spec/annotations.js';
import type { SpecResources } from '../../lib/spec/types.js';
import { blockDevicePath } from '../helpers/blockDevice.js';
import { blockDevice, cgroups, type Requirement, root, suite } from '../helpers/needs.js';

const MiB = 1 << 20;
const noRusage = { userUs: 0, systemUs: 0, maxRssBytes: 0 };

/** What the launcher would do with the steps that cgroups are made of. */
function carryOut(step: Step): ReadResult | undefined {
  switch (step.op) {
    case 'mkdir':
      mkdirSync(step.path, { mode: step.mode });
      return undefined;
    case 'write':
      writeFileSync(step.path, step.data);
      return undefined;
    case 'open':
      expect(statSync(step.path).isDirectory()).toBe(!step.path.endsWith('/tasks'));
      expect([0x27e0eb, 0x63677270]).toContain(statfsSync(step.path).type);
      return undefined;
    case 'read':
      try {
        return { path: step.path, data: readFileSync(step.path, 'utf8') };
      } catch (error) {
        return { path: step.path, errno: (error as NodeJS.ErrnoException).errno ?? -1 };
      }
    case 'verifyFs':
    case 'watchOom':
      return undefined;
    default:
      throw new Error(`unexpected step ${step.op}`);
  }
}

async function removeDirectory(path: string): Promise<void> {
  for (let left = 100; existsSync(path); left--) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (left === 0) throw error;
      // A killed process leaves its cgroup a moment after its parent has been told.
      await sleep(20);
    }
  }
}

/** One container's cgroups, for a shell that is moved into them. */
class Trial {
  readonly builder = new PlanBuilder();
  readonly plan: CgroupPlan;

  constructor(resources: SpecResources, annotations: Record<string, string> = {}) {
    const id = `test-${process.pid}-${Trial.#count++}`;
    const spec = { ociVersion: '1.2.0', annotations, linux: { namespaces: [], resources } };
    this.plan = planCgroup(this.builder, spec, detectCgroups(), { id, privileged: true });
  }

  static #count = 0;

  /** A file in one of the cgroups. */
  file(controller: string, name: string): string {
    const dir = this.plan.paths.v1[controller] ?? this.plan.paths.unified ?? '';
    return readFileSync(join(dir, name), 'utf8').trim();
  }

  prepare(): void {
    for (const step of this.builder.prepare) carryOut(step);
  }

  async run(script: string): Promise<{ status: number; stdout: string }> {
    const child = spawn('sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'pipe', 'ignore'] });
    const { unified, v1 } = this.plan.paths;
    const lists = Object.values(v1).map((dir) => join(dir, 'tasks'));
    if (unified !== undefined) lists.push(join(unified, 'cgroup.procs'));
    for (const list of new Set(lists)) writeFileSync(list, String(child.pid));
    return finish(child);
  }

  async finish(): Promise<Usage> {
    const reads: ReadResult[] = [];
    for (const step of this.builder.teardown) {
      if (step.op === 'rmdir') await removeDirectory(step.path);
      else if (step.op === 'read') reads.push(carryOut(step) ?? { path: step.path });
      // After a launch that failed early there may be nothing to kill or remove.
      else if (step.op !== 'write' || existsSync(step.path)) carryOut(step);
    }
    return parseUsage(reads, noRusage);
  }
}

/** Lets a waiting shell go, and collects what becomes of it; 128 + n for signal n. */
async function finish(child: ChildProcess): Promise<{ status: number; stdout: string }> {
  let stdout = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stdin?.end('go\n');
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { status: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), stdout };
}

async function trial(
  resources: SpecResources,
  script: string,
  look: (trial: Trial) => void | Promise<void> = () => {},
  annotations: Record<string, string> = {},
) {
  const one = new Trial(resources, annotations);
  let usage: Usage;
  let ended: { status: number; stdout: string };
  try {
    one.prepare();
    ended = await one.run(script);
    await look(one);
  } finally {
    usage = await one.finish();
  }
  const { unified = '/nonexistent', v1 } = one.plan.paths;
  expect([unified, ...Object.values(v1)].filter((path) => existsSync(path))).toEqual([]);
  return { ...ended, usage, plan: one.plan };
}

suite('cgroups of a container', [root, cgroups], () => {
  test('memory: over the limit is death, and the verdict says so', async () => {
    const { status, usage } = await trial({ memory: { limit: 32 * MiB } }, 'exec tail /dev/zero');
    expect(status).toBe(137);
    expect(verdict(usage)).toEqual({ oom: true, pids: false });
    expect(usage.peakMemoryBytes).toBeLessThanOrEqual(32 * MiB);
    expect(usage.peakMemoryBytes).toBeGreaterThan(16 * MiB);
  });

  test('pids: fork fails at the limit, and the verdict says so', async () => {
    const script = 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait';
    const { status, usage } = await trial({ pids: { limit: 4 } }, script);
    expect(status).not.toBe(0);
    expect(verdict(usage)).toEqual({ oom: false, pids: true });
    expect([4, undefined]).toContain(usage.maxPids);
  });

  const spin = 'i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done';

  test('cpu: a quota holds back, and time is counted', async () => {
    const { status, usage } = await trial({ cpu: { quota: 1000, period: 20_000 } }, spin);
    expect(status).toBe(0);
    expect(usage.throttledMs).toBeGreaterThan(0);
    expect(usage.cpuTimeMs).toBeGreaterThan(0);
    expect(usage.userMs + usage.systemMs).toBeGreaterThan(0);
  });

  test('cpu: quota, burst and weight are what was asked', async () => {
    const cpu = { quota: 20_000, period: 50_000, burst: 1000, shares: 512, idle: 0 };
    await trial({ cpu }, ':', (one) => {
      if (one.plan.paths.v1.cpu === undefined) {
        expect(one.file('cpu', 'cpu.max')).toBe('20000 50000');
        expect(one.file('cpu', 'cpu.max.burst')).toBe('1000');
        expect(one.file('cpu', 'cpu.weight')).toBe('59');
      } else {
        expect(one.file('cpu', 'cpu.cfs_quota_us')).toBe('20000');
        expect(one.file('cpu', 'cpu.cfs_period_us')).toBe('50000');
        expect(one.file('cpu', 'cpu.cfs_burst_us')).toBe('1000');
        expect(one.file('cpu', 'cpu.shares')).toBe('512');
      }
    });
  });

  test('cpuset: only the CPU that was given', async () => {
    const script = 'grep Cpus_allowed_list /proc/self/status';
    const { stdout } = await trial({ cpu: { cpus: '0' } }, script);
    expect(stdout.trim()).toMatch(/^Cpus_allowed_list:\s0$/);
  });

  test('all together are enforced and removed', async () => {
    const resources = {
      memory: { limit: 64 * MiB, reservation: 16 * MiB },
      pids: { limit: 16 },
      cpu: { shares: 512, cpus: '0' },
    };
    const { status, plan } = await trial(resources, 'cat /proc/self/cgroup');
    expect(status).toBe(0);
    expect(plan.enforced).toEqual([
      'cpu.cpus',
      'cpu.shares',
      'memory.limit',
      'memory.swap',
      'memory.reservation',
      'pids.limit',
    ]);
  });

  test('CPU time can be read while it runs', async () => {
    await trial({ memory: { limit: 64 * MiB }, pids: { limit: 16 } }, spin, async (one) => {
      expect(await cpuTimeUs(one.plan)).toBeGreaterThan(0);
    });
  });

  test('with limits given up, nothing that needs a controller is made', async () => {
    const none = { [annotation.limits]: 'none' };
    const { plan, status } = await trial({ pids: { limit: 4 } }, 'exit 3', () => {}, none);
    expect(status).toBe(3);
    expect(plan.enforced).toEqual([]);
    expect(Object.keys(plan.paths.v1).filter((name) => name !== 'cpuacct')).toEqual([]);
  });

  test('an id that is taken is refused', () => {
    const { unified, v1 } = new Trial({ pids: { limit: 4 } }).plan.paths;
    const path = v1.pids ?? unified ?? '';
    mkdirSync(path);
    try {
      const id = path.slice(path.lastIndexOf('ringfort-') + 'ringfort-'.length);
      const spec = {
        ociVersion: '1.2.0',
        linux: { namespaces: [], resources: { pids: { limit: 4 } } },
      };
      const attempt = () =>
        planCgroup(new PlanBuilder(), spec, detectCgroups(), { id, privileged: true });
      expect(attempt).toThrow(expect.objectContaining({ code: 'ERR_CONTAINER_EXISTS' }));
    } finally {
      rmdirSync(path);
    }
  });

  test('an ordinary user without a cgroup is told what to do', () => {
    const copy = mkdtempSync(join(tmpdir(), 'ringfort-lib-'));
    const lib = join(import.meta.dirname, '../../lib');
    const script = `
      import { detectCgroups, planCgroup } from ${JSON.stringify(join(lib, 'cgroups/index.js'))};
      import { PlanBuilder } from ${JSON.stringify(join(lib, 'plan/builder.js'))};
      const resources = { pids: { limit: 4 } };
      const spec = { ociVersion: '1.2.0', linux: { namespaces: [], resources } };
      const options = { id: 'x', privileged: false };
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      try { planCgroup(new PlanBuilder(), spec, detectCgroups(), options); }
      catch (error) { console.log(error.name, error.code, error.hint); }`;
    try {
      const args = ['--input-type=module', '-e', script];
      const { stdout } = spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8' });
      expect(stdout).toMatch(/^PermissionError ERR_CGROUP_UNAVAILABLE .*cgroupParent/);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});

suite('io limits', [root, cgroups, blockDevice], () => {
  test('a device named by path is limited by its number', async () => {
    const device = blockDevicePath() ?? '';
    const name = device.slice('/dev/'.length);
    const number = readFileSync(`/sys/block/${name}/dev`, 'utf8').trim();
    const io = { [annotation.io]: JSON.stringify([{ device, readBps: MiB, writeIops: 100 }]) };
    const look = (one: Trial) => {
      if (one.plan.paths.v1.blkio === undefined) {
        expect(one.file('io', 'io.max')).toBe(`${number} rbps=${MiB} wbps=max riops=max wiops=100`);
      } else {
        expect(one.file('blkio', 'blkio.throttle.read_bps_device')).toBe(`${number} ${MiB}`);
        expect(one.file('blkio', 'blkio.throttle.write_iops_device')).toBe(`${number} 100`);
      }
    };
    const { usage } = await trial({}, ':', look, io);
    expect(usage.ioReadBytes).toBeGreaterThanOrEqual(0);
  });
});

const devicesV1: Requirement = {
  name: 'the v1 devices controller',
  check: () => (detectCgroups().v1.has('devices') ? undefined : 'not in a v1 tree here'),
};

suite('device rules on v1', [root, cgroups, devicesV1], () => {
  test('standard devices stay, others are closed', async () => {
    const script =
      'echo a >/dev/null && echo null; (: </dev/full) && echo full; (: </dev/kmsg) && echo kmsg';
    expect((await trial({}, script)).stdout).toBe('null\nfull\nkmsg\n');
    const closed = await trial({ devices: [{ allow: false }] }, script);
    expect(closed.stdout).toBe('null\nfull\n');
    expect(closed.plan.enforced).toEqual(['devices']);
  });
});

const unifiedTree: Requirement = {
  name: 'a v2 tree',
  check: () => (detectCgroups().unified === undefined ? 'not mounted here' : undefined),
};

suite('moveToLeafCgroup', [root, cgroups, unifiedTree], () => {
  let dir: string;
  let path: string;
  beforeEach(() => {
    const { unified } = detectCgroups();
    if (unified === undefined) throw new Error('no v2 tree');
    path = join(unified.own, `ringfort-leaf-${process.pid}`);
    dir = directoryOf(unified, path) ?? '';
    mkdirSync(dir);
  });
  afterEach(async () => {
    await removeDirectory(join(dir, 'ringfort-self'));
    await removeDirectory(dir);
  });

  /** A Node process in `dir` that calls it twice, then says where it is. */
  async function callInside(): Promise<string> {
    const index = join(import.meta.dirname, '../../lib/cgroups/index.js');
    const script = `
      import { readFileSync, readSync } from 'node:fs';
      import { moveToLeafCgroup } from ${JSON.stringify(index)};
      readSync(0, Buffer.alloc(3));
      const own = () => /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))[1];
      try { console.log(moveToLeafCgroup(), moveToLeafCgroup(), own()); }
      catch (error) { console.log(error.code, own()); }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    writeFileSync(join(dir, 'cgroup.procs'), String(child.pid));
    return (await finish(child)).stdout.trim();
  }

  test('moves only itself, once', async () => {
    expect(await callInside()).toBe(`${path} ${path} ${path}/ringfort-self`);
    expect(readFileSync(join(dir, 'cgroup.procs'), 'utf8')).toBe('');
  });

  test('refuses while others are in the cgroup', async () => {
    const other = spawn('sleep', ['60']);
    try {
      writeFileSync(join(dir, 'cgroup.procs'), String(other.pid));
      expect(await callInside()).toBe(`ERR_CGROUP_BUSY ${path}`);
      expect(existsSync(join(dir, 'ringfort-self'))).toBe(false);
    } finally {
      other.kill('SIGKILL');
      await once(other, 'close');
    }
  });
});

describe('detectCgroups', () => {
  test('is remembered while nothing moves', () => {
    expect(currentCgroups()).toEqual(detectCgroups());
    expect(currentCgroups()).toBe(currentCgroups());
  });

  test('finds directories that are cgroups, or none', () => {
    const { unified, v1, mode } = detectCgroups();
    const found = [...v1.values(), ...(unified === undefined ? [] : [unified])];
    expect(mode === 'none').toBe(found.length === 0);
    for (const hierarchy of found) {
      const own = directoryOf(hierarchy, hierarchy.own);
      expect(own === undefined || existsSync(join(own, 'cgroup.procs'))).toBe(true);
      expect(dirname(hierarchy.mount)).not.toBe(hierarchy.mount);
    }
  });
});
