import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CgroupHost } from '../../lib/cgroups/detect.js';
import { type ExecOptions, planExecCgroup, planLaterLimits } from '../../lib/cgroups/exec.js';
import type { NestedCgroup } from '../../lib/cgroups/nested.js';
import { planCgroup } from '../../lib/cgroups/plan.js';
import { PlanBuilder } from '../../lib/plan/builder.js';
import { type Step, slot } from '../../lib/plan/steps.js';
import { annotation } from '../../lib/spec/annotations.js';
import type { Spec } from '../../lib/spec/types.js';
import { fill, spec, v1Host, v2Child, v2Host, v2Root, word } from '../helpers/fakeCgroups.js';

let top: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'ringfort-nested-'));
});
afterEach(() => rmSync(top, { recursive: true }));

const words = (steps: readonly Step[]) => steps.map((step) => word(top, step));

function words3(builder: PlanBuilder) {
  const { prepare, child, teardown } = builder;
  return { prepare: words(prepare), child: words(child), teardown: words(teardown) };
}

function plan(host: CgroupHost, of: Spec, rootUid?: number, privileged = true) {
  const builder = new PlanBuilder();
  const result = planCgroup(builder, of, host, { id: 'web', privileged, nested: { rootUid } });
  const { nested } = result;
  if (nested === undefined) throw new Error('not nested');
  return { result, builder, nested, ...words3(builder) };
}

function exec(nested: NestedCgroup, options: Partial<ExecOptions> = {}) {
  const builder = new PlanBuilder();
  // As a monitor that was started later would have it.
  const kept = JSON.parse(JSON.stringify(nested)) as NestedCgroup;
  const result = planExecCgroup(builder, kept, { execId: 'e1', ...options });
  return { result, builder, ...words3(builder) };
}

const limits = { memory: { limit: 1 << 26 }, pids: { limit: 32 } };
const none = { [annotation.limits]: 'none' };
const mayNot = expect.objectContaining({
  code: 'ERR_CGROUP_UNAVAILABLE',
  name: 'UnsupportedError',
});

describe('a container that lives, on v2', () => {
  test('has limits and no processes; its init is born in a leaf', () => {
    fill(top, { ...v2Root, 'cgroup.subtree_control': 'memory pids io hugetlb' });
    const { prepare, child, teardown, builder, result, nested } = plan(
      v2Host(top, '/'),
      spec(limits),
      100_000,
    );
    expect(prepare).toEqual([
      'mkdir ringfort-web',
      'write ringfort-web/cgroup.max.descendants 4096',
      'write ringfort-web/cgroup.max.depth 1',
      `write ringfort-web/memory.max ${1 << 26}`,
      'write ringfort-web/memory.swap.max 0',
      'write ringfort-web/pids.max 32',
      'open ringfort-web',
      'verifyFs',
      'chown ringfort-web/cgroup.procs 100000 4294967295',
      'write ringfort-web/cgroup.subtree_control +memory +pids +io',
      'mkdir ringfort-web/init',
      'write ringfort-web/init/cgroup.max.descendants 0',
      'open ringfort-web/init',
    ]);
    expect(child).toEqual([]);
    expect(teardown).toEqual([
      'write ringfort-web/cgroup.kill 1',
      'read ringfort-web/cpu.stat',
      'read ringfort-web/memory.peak',
      'read ringfort-web/memory.events',
      'read ringfort-web/pids.peak',
      'read ringfort-web/pids.events',
      'read ringfort-web/io.stat',
      'rmdir ringfort-web/init',
      'rmdir ringfort-web',
    ]);
    expect(builder.intoCgroup).toBe(1);
    expect(result.unshareCgroupNs).toBe(true);
    expect(result.paths).toEqual({ unified: join(top, 'ringfort-web'), v1: {} });
    expect(nested).toMatchObject({
      limited: true,
      rootUid: 100_000,
      unified: { path: '/ringfort-web', enabled: ['memory', 'pids', 'io'] },
      v1: [],
    });
  });

  test('a program has a leaf that its init can clone into', () => {
    fill(top, v2Root);
    const { nested } = plan(v2Host(top, '/'), spec(limits), 100_000);
    const { prepare, child, teardown, builder, result } = exec(nested);
    expect(prepare).toEqual([
      'mkdir ringfort-web/e1',
      'write ringfort-web/e1/cgroup.max.descendants 0',
      'write ringfort-web/e1/memory.oom.group 1',
      'open ringfort-web/e1',
      'verifyFs',
      'chown ringfort-web/e1/cgroup.procs 100000 4294967295',
    ]);
    expect(child).toEqual([]);
    expect(teardown).toEqual([
      'writeOnKill ringfort-web/e1/cgroup.kill 1',
      'read ringfort-web/e1/cpu.stat',
      'read ringfort-web/e1/memory.peak',
      'read ringfort-web/e1/memory.events',
      'read ringfort-web/e1/pids.peak',
      'read ringfort-web/e1/pids.events',
      'rmdir ringfort-web/e1',
    ]);
    expect(builder.intoCgroup).toBe(0);
    expect(result.unshareCgroupNs).toBe(true);
    expect(result.nested).toBeUndefined();
  });

  test('where the root of both is the launcher’s own user, no file changes hands', () => {
    fill(top, v2Root);
    const { nested, prepare } = plan(v2Host(top, '/'), spec(limits));
    expect([...prepare, ...exec(nested).prepare].join('\n')).not.toContain('chown');
  });

  test('limits of a program', () => {
    fill(top, v2Root);
    const { nested } = plan(v2Host(top, '/'), spec(limits));
    fill(join(top, 'ringfort-web'), v2Child);
    const own = { memory: { limit: 1 << 25 }, pids: { limit: 8 } };
    const { prepare, result } = exec(nested, { resources: own });
    expect(prepare.slice(1, 6)).toEqual([
      'write ringfort-web/e1/cgroup.max.descendants 0',
      `write ringfort-web/e1/memory.max ${1 << 25}`,
      'write ringfort-web/e1/memory.swap.max 0',
      'write ringfort-web/e1/memory.oom.group 1',
      'write ringfort-web/e1/pids.max 8',
    ]);
    expect(result.enforced).toEqual(['memory.limit', 'memory.swap', 'pids.limit']);
  });

  test('a controller that came to the container later is handed on when it is needed', () => {
    fill(top, v2Root);
    const { nested } = plan(v2Host(top, '/'), spec(limits));
    const outer = { ...v2Child, 'cgroup.procs': '' };
    fill(join(top, 'ringfort-web'), { ...outer, 'cgroup.controllers': 'memory pids cpu\n' });
    const { prepare } = exec(nested, { resources: { cpu: { quota: 50_000 } } });
    expect(prepare[0]).toBe('write ringfort-web/cgroup.subtree_control +cpu');
    expect(prepare).toContain('write ringfort-web/e1/cpu.max 50000 100000');
  });

  test('one that it does not have is named', () => {
    fill(top, v2Root);
    const { nested } = plan(v2Host(top, '/'), spec(limits));
    fill(join(top, 'ringfort-web'), { ...v2Child, 'cgroup.controllers': 'memory pids\n' });
    const attempt = (resources: ExecOptions['resources']) => () => exec(nested, { resources });
    expect(attempt({ cpu: { quota: 50_000 } })).toThrow(mayNot);
    expect(attempt({ cpu: { quota: 50_000 } })).toThrow(/^controller cpu: .*cpu.quota cannot/);
    expect(attempt({ unified: { 'rdma.max': 'x' } })).toThrow(/^controller rdma: .*rdma.max/);
  });

  test('device rules hold for the whole container', () => {
    fill(top, v2Root);
    const devices = [{ allow: false }];
    const { builder, nested } = plan(v2Host(top, '/'), spec({ devices }));
    expect(builder.prepare.at(-1)).toMatchObject({ op: 'bpfDevice', cgroup: 0 });
    expect(builder.intoCgroup).toBe(1);
    expect(() => exec(nested, { resources: { devices } })).toThrow(/^linux.resources.devices/);
  });

  test('with limits given up, programs are tracked and no more', () => {
    fill(top, v2Root);
    const { prepare, nested } = plan(v2Host(top, '/'), spec(limits, none));
    expect(prepare).toEqual([
      'mkdir ringfort-web',
      'write ringfort-web/cgroup.max.descendants 4096',
      'write ringfort-web/cgroup.max.depth 1',
      'open ringfort-web',
      'verifyFs',
      'mkdir ringfort-web/init',
      'write ringfort-web/init/cgroup.max.descendants 0',
      'open ringfort-web/init',
    ]);
    const { teardown } = exec(nested);
    expect(teardown).toEqual([
      'writeOnKill ringfort-web/e1/cgroup.kill 1',
      'read ringfort-web/e1/cpu.stat',
      'rmdir ringfort-web/e1',
    ]);
    expect(() => exec(nested, { resources: limits })).toThrow(mayNot);
  });

  test('and nothing is planned where there is no cgroup', () => {
    const { nested, builder } = plan({ mode: 'none', v1: new Map() }, spec({}, none));
    expect([...builder.prepare, ...builder.child, ...builder.teardown]).toEqual([]);
    const one = exec(nested);
    expect([...one.prepare, ...one.child, ...one.teardown]).toEqual([]);
    expect(one.builder.intoCgroup).toBe(slot.none);
    expect(one.result.paths).toEqual({ v1: {} });
  });

  test.each(['', 'a/b', '..', 'cgroup.procs', 'init', 'tasks', 'x'.repeat(65)])(
    'refuses the name %j',
    (execId) => {
      fill(top, v2Root);
      const { nested } = plan(v2Host(top, '/'), spec(limits));
      expect(() => exec(nested, { execId })).toThrow(/^execId: expected/);
    },
  );
});

describe('a container that lives, on v1', () => {
  const trees = ['memory', 'pids', 'cpu,cpuacct', 'blkio', 'freezer', 'devices'];

  test('has a cgroup in each tree that it may be asked for later, and one to freeze', () => {
    const { prepare, child, teardown, builder, result } = plan(v1Host(top, trees), spec(limits), 7);
    expect(prepare.filter((step) => step.startsWith('mkdir'))).toEqual([
      'mkdir memory/ringfort-web',
      'mkdir pids/ringfort-web',
      'mkdir cpu,cpuacct/ringfort-web',
      'mkdir blkio/ringfort-web',
      'mkdir freezer/ringfort-web',
    ]);
    expect(prepare.filter((step) => /chown|watchOom/.test(step))).toEqual([]);
    expect(child).toHaveLength(10);
    expect(teardown[0]).toBe('write freezer/ringfort-web/freezer.state THAWED');
    expect(teardown.filter((step) => step.startsWith('rmdir'))).toHaveLength(5);
    expect(builder.intoCgroup).toBe(slot.none);
    expect(result.paths.v1.freezer).toBe(join(top, 'freezer/ringfort-web'));
  });

  test('a program attaches itself where it is counted or limited', () => {
    const { nested } = plan(v1Host(top, trees), spec(limits), 7);
    const { prepare, child, teardown, result } = exec(nested, {
      resources: { memory: { limit: 1 << 25 }, cpu: { shares: 512 } },
    });
    expect(prepare).toEqual([
      'mkdir memory/ringfort-web/e1',
      `write memory/ringfort-web/e1/memory.limit_in_bytes ${1 << 25}`,
      'write memory/ringfort-web/e1/memory.swappiness 0',
      'open memory/ringfort-web/e1/tasks',
      'verifyFs',
      'watchOom memory/ringfort-web/e1',
      'mkdir pids/ringfort-web/e1',
      'open pids/ringfort-web/e1/tasks',
      'verifyFs',
      'mkdir cpu,cpuacct/ringfort-web/e1',
      'write cpu,cpuacct/ringfort-web/e1/cpu.shares 512',
      'open cpu,cpuacct/ringfort-web/e1/tasks',
      'verifyFs',
    ]);
    expect(child).toHaveLength(6);
    expect(teardown.filter((step) => step.startsWith('rmdir'))).toHaveLength(3);
    expect(Object.keys(result.paths.v1)).toEqual(['memory', 'pids', 'cpu', 'cpuacct']);
  });

  test('cpuset lists are filled from the container’s', () => {
    const { nested } = plan(v1Host(top, ['cpuset', 'cpuacct']), spec({ cpu: { cpus: '0-1' } }));
    fill(join(top, 'cpuset/ringfort-web'), {
      'cpuset.effective_cpus': '0-1\n',
      'cpuset.effective_mems': '0\n',
    });
    const { prepare } = exec(nested, { resources: { cpu: { cpus: '1' } } });
    expect(prepare).toContain('write cpuset/ringfort-web/e1/cpuset.cpus 1');
    expect(prepare).toContain('write cpuset/ringfort-web/e1/cpuset.mems 0');
  });

  test('another user’s root cannot be attached by us, so limits of a program are refused', () => {
    const { nested } = plan(v1Host(top, trees), spec(limits), 7, false);
    expect(exec(nested).prepare).toEqual([]);
    expect(() => exec(nested, { resources: limits })).toThrow(mayNot);
  });

  test('limits given up: CPU time, and a freezer', () => {
    const { result } = plan(v1Host(top, trees), spec(limits, none));
    expect(Object.keys(result.paths.v1)).toEqual(['cpu', 'cpuacct', 'freezer']);
  });
});

test('on a hybrid host, limits go to v1 and the leaf is on v2', () => {
  fill(join(top, 'unified'), { ...v2Root, 'cgroup.controllers': '', 'cgroup.subtree_control': '' });
  const { unified } = v2Host(join(top, 'unified'), '/');
  if (unified === undefined) throw new Error('no v2');
  const host: CgroupHost = {
    mode: 'hybrid',
    unified,
    v1: v1Host(top, ['memory', 'pids', 'cpuacct', 'freezer']).v1,
  };
  const { prepare, nested, result } = plan(host, spec(limits), 5);
  expect(result.paths).toEqual({
    unified: join(top, 'unified/ringfort-web'),
    v1: { memory: join(top, 'memory/ringfort-web'), pids: join(top, 'pids/ringfort-web') },
  });
  expect(prepare.filter((step) => step.includes('subtree_control'))).toEqual([]);
  const one = exec(nested);
  expect(one.prepare.filter((step) => /mkdir|chown/.test(step))).toEqual([
    'mkdir unified/ringfort-web/e1',
    'chown unified/ringfort-web/e1/cgroup.procs 5 4294967295',
    'mkdir memory/ringfort-web/e1',
    'mkdir pids/ringfort-web/e1',
  ]);
  expect(one.teardown[0]).toBe('writeOnKill unified/ringfort-web/e1/cgroup.kill 1');
});

describe('limits of a program whose cgroup is there already', () => {
  const own = { memory: { limit: 1 << 25 }, pids: { limit: 8 } };

  function later(nested: NestedCgroup, resources: ExecOptions['resources'], joins = false) {
    const made = exec(nested, { later: true, joins }).result;
    const limits = planLaterLimits(nested, made, { execId: 'e1', resources, joins });
    return limits && { ...limits, steps: words(limits.steps) };
  }

  test('on v2', () => {
    fill(top, v2Root);
    const { nested } = plan(v2Host(top, '/'), spec(limits));
    fill(join(top, 'ringfort-web'), v2Child);
    expect(later(nested, own)).toEqual({
      steps: [
        `write ringfort-web/e1/memory.max ${1 << 25}`,
        'write ringfort-web/e1/memory.swap.max 0',
        'write ringfort-web/e1/memory.oom.group 1',
        'write ringfort-web/e1/pids.max 8',
      ],
      enforced: ['memory.limit', 'memory.swap', 'pids.limit'],
    });
    expect(later(nested, {})).toEqual({ steps: [], enforced: [] });
  });

  test('none that need a controller which is not there yet', () => {
    fill(top, v2Root);
    const { nested } = plan(v2Host(top, '/'), spec(limits));
    const outer = { ...v2Child, 'cgroup.procs': '' };
    fill(join(top, 'ringfort-web'), { ...outer, 'cgroup.controllers': 'memory pids cpu\n' });
    expect(later(nested, { cpu: { quota: 50_000 } })).toBeUndefined();
  });

  test('on v1, CPU among them; not in a tree that it is not in', () => {
    const trees = ['memory', 'pids', 'cpu,cpuacct', 'blkio'];
    const { nested } = plan(v1Host(top, trees), spec(limits), 7);
    expect(later(nested, { ...own, cpu: { shares: 512 } })?.steps).toEqual([
      `write memory/ringfort-web/e1/memory.limit_in_bytes ${1 << 25}`,
      'write memory/ringfort-web/e1/memory.swappiness 0',
      'watchOom memory/ringfort-web/e1',
      'write pids/ringfort-web/e1/pids.max 8',
      'write cpu,cpuacct/ringfort-web/e1/cpu.shares 512',
    ]);
    expect(later(nested, { blockIO: { weight: 100 } })).toBeUndefined();
  });

  test('as exec, none that the container cannot hand on', () => {
    const { nested } = plan(v1Host(top, ['memory', 'pids']), spec(limits), 7, false);
    expect(() => later(nested, own)).toThrow(mayNot);
    expect(later(nested, own, true)?.enforced).toContain('pids.limit');
  });
});
