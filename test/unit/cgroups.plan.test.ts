import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CgroupHost } from '../../lib/cgroups/detect.js';
import { deviceProgram } from '../../lib/cgroups/deviceProgram.js';
import { devicePolicy } from '../../lib/cgroups/deviceRules.js';
import { chooseCgroup, controllersToEnable } from '../../lib/cgroups/place.js';
import { planCgroup } from '../../lib/cgroups/plan.js';
import { PlanBuilder } from '../../lib/plan/builder.js';
import { type Step, slot } from '../../lib/plan/steps.js';
import { annotation } from '../../lib/spec/annotations.js';
import type { Spec } from '../../lib/spec/types.js';
import * as fakes from '../helpers/fakeCgroups.js';
import { fill, spec, v2Child, v2Root } from '../helpers/fakeCgroups.js';

// planCgroup reads parents and writes nothing, so a directory with the files that a v2 parent shows
// is enough to see what it would ask of the kernel.
let top: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'ringfort-cgroups-'));
});
afterEach(() => rmSync(top, { recursive: true }));

const v2Host = (own: string) => fakes.v2Host(top, own);
const v1Host = (names: string[]) => fakes.v1Host(top, names);
const word = (step: Step) => fakes.word(top, step);

function plan(host: CgroupHost, of: Spec, privileged = true) {
  const builder = new PlanBuilder();
  const result = planCgroup(builder, of, host, { id: 'web-1', privileged });
  return {
    result,
    builder,
    prepare: builder.prepare.map(word),
    child: builder.child.map(word),
    teardown: builder.teardown.map(word),
  };
}

const limits = { memory: { limit: 1 << 26 }, pids: { limit: 32 } };
const gone = expect.objectContaining({ code: 'ERR_CGROUP_UNAVAILABLE', phase: 'cgroup' });

describe('planCgroup on v2', () => {
  test('limits, birth inside, accounts, removal', () => {
    fill(top, v2Root);
    const { prepare, child, teardown, builder, result } = plan(v2Host('/'), spec(limits));
    expect(prepare).toEqual([
      'mkdir ringfort-web-1',
      'write ringfort-web-1/cgroup.max.descendants 0',
      `write ringfort-web-1/memory.max ${1 << 26}`,
      'write ringfort-web-1/memory.swap.max 0',
      'write ringfort-web-1/memory.oom.group 1',
      'write ringfort-web-1/pids.max 32',
      'open ringfort-web-1',
      'verifyFs',
    ]);
    expect(child).toEqual([]);
    expect(teardown).toEqual([
      'write ringfort-web-1/cgroup.kill 1',
      'read ringfort-web-1/cpu.stat',
      'read ringfort-web-1/memory.peak',
      'read ringfort-web-1/memory.events',
      'read ringfort-web-1/pids.peak',
      'read ringfort-web-1/pids.events',
      'rmdir ringfort-web-1',
    ]);
    expect(builder.intoCgroup).toBe(0);
    expect(result.unshareCgroupNs).toBe(false);
    expect(result.enforced).toEqual(['memory.limit', 'memory.swap', 'pids.limit']);
    expect(result.paths).toEqual({ unified: join(top, 'ringfort-web-1'), v1: {} });
  });

  test('a child that joins a cgroup namespace moves in by what was opened before', () => {
    fill(top, v2Root);
    const { linux, ...rest } = spec(limits);
    const namespaces = [{ type: 'cgroup' as const, path: '/proc/7/ns/cgroup' }];
    const { prepare, child, builder } = plan(v2Host('/'), {
      ...rest,
      linux: { ...linux, namespaces },
    });
    expect(prepare.at(-1)).toBe('open ringfort-web-1/cgroup.procs');
    expect(child).toEqual(['writeFd 0', 'close']);
    expect(builder.intoCgroup).toBe(slot.none);
  });

  test('the root may enable controllers although it has processes', () => {
    fill(top, v2Root);
    const { prepare } = plan(v2Host('/'), spec({ cpu: { quota: 50_000 } }));
    expect(prepare[0]).toBe('write cgroup.subtree_control +cpu');
  });

  test('another cgroup with processes may not', () => {
    fill(join(top, 'app'), v2Child);
    const attempt = () => plan(v2Host('/app'), spec({ cpu: { quota: 50_000 } }));
    expect(attempt).toThrow(gone);
    expect(attempt).toThrow(/controller cpu: cannot be enabled in .* has processes of its own/);
    expect(attempt).toThrow(/moveToLeafCgroup\(\)/);
  });

  test('an empty parent may', () => {
    fill(top, v2Root);
    fill(join(top, 'app'), { ...v2Child, 'cgroup.procs': '' });
    const of = spec({ cpu: { quota: 50_000 } }, { [annotation.cgroupParent]: '/app' });
    expect(plan(v2Host('/elsewhere'), of).prepare.slice(0, 2)).toEqual([
      'write app/cgroup.subtree_control +cpu',
      'mkdir app/ringfort-web-1',
    ]);
  });

  test('from the leaf of moveToLeafCgroup, beside it', () => {
    fill(join(top, 'app'), { ...v2Child, 'cgroup.procs': '' });
    expect(plan(v2Host('/app/ringfort-self'), spec(limits)).result.paths.unified).toBe(
      join(top, 'app/ringfort-web-1'),
    );
  });

  test('a controller that the parent was not given is named', () => {
    fill(join(top, 'app'), { ...v2Child, 'cgroup.controllers': 'memory pids\n' });
    const attempt = () => plan(v2Host('/app'), spec({ cpu: { cpus: '0' } }));
    expect(attempt).toThrow(gone);
    expect(attempt).toThrow(/^controller cpuset: not available in /);
  });

  test('a threaded parent is refused', () => {
    fill(join(top, 'app'), { ...v2Child, 'cgroup.type': 'domain threaded\n' });
    expect(() => plan(v2Host('/app'), spec(limits))).toThrow(
      /^controller memory, pids \(cgroup v2\): .*app is a threaded cgroup/,
    );
  });

  test('files by name come last, and need their controller', () => {
    fill(top, v2Root);
    const { prepare, result } = plan(v2Host('/'), spec({ unified: { 'memory.high': '100' } }));
    expect(prepare).toContain('write ringfort-web-1/memory.high 100');
    expect(result.enforced).toEqual(['unified.memory.high']);
    expect(() => plan(v2Host('/'), spec({ unified: { 'rdma.max': 'x' } }))).toThrow(
      /^controller rdma: not available/,
    );
  });

  test('io is counted where it is enabled', () => {
    fill(top, { ...v2Root, 'cgroup.subtree_control': 'io' });
    expect(plan(v2Host('/'), spec({})).teardown).toContain('read ringfort-web-1/io.stat');
  });

  test('an id that is taken is refused, and so its cgroup stays untouched', () => {
    fill(join(top, 'ringfort-web-1'), {});
    fill(top, v2Root);
    expect(() => plan(v2Host('/'), spec(limits))).toThrow(
      expect.objectContaining({ code: 'ERR_CONTAINER_EXISTS' }),
    );
  });

  test('a parent that is not there is refused', () => {
    fill(top, v2Root);
    const of = spec(limits, { [annotation.cgroupParent]: '/nowhere' });
    expect(() => plan(v2Host('/'), of)).toThrow(
      expect.objectContaining({ code: 'ERR_CGROUP_NOT_FOUND', option: 'cgroupParent' }),
    );
  });

  test('device rules are not for ordinary users', () => {
    fill(top, v2Root);
    const of = spec({ devices: [{ allow: false }] });
    expect(() => plan(v2Host('/'), of, false)).toThrow(/^controller devices: .*root/);
  });

  test('device rules become a program on the cgroup that the child is born in', () => {
    fill(top, v2Root);
    const devices = [{ allow: false }];
    const { builder, result } = plan(v2Host('/'), spec({ devices }));
    expect(builder.prepare.at(-1)).toEqual({
      op: 'bpfDevice',
      cgroup: builder.intoCgroup,
      program: deviceProgram(devicePolicy(devices)),
    });
    expect(result.enforced).toEqual(['devices']);
  });

  test('OCI cgroupsPath names the cgroup itself', () => {
    fill(top, v2Root);
    fill(join(top, 'pods'), v2Child);
    const of = spec(limits);
    of.linux.cgroupsPath = '/pods/web';
    expect(plan(v2Host('/'), of).result.paths.unified).toBe(join(top, 'pods/web'));
  });
});

describe('planCgroup with limits given up', () => {
  const none = { [annotation.limits]: 'none' };

  test('tracks on v2 where it can', () => {
    fill(top, { ...v2Root, 'cgroup.subtree_control': '' });
    const { prepare, result } = plan(v2Host('/'), spec(limits, none));
    expect(prepare.filter((step) => step.startsWith('write'))).toEqual([
      'write ringfort-web-1/cgroup.max.descendants 0',
    ]);
    expect(result.enforced).toEqual([]);
  });

  test('plans nothing where it cannot', () => {
    for (const host of [v2Host('/missing'), { mode: 'none' as const, v1: new Map() }]) {
      const { builder, result } = plan(host, spec(limits, none));
      expect([...builder.prepare, ...builder.child, ...builder.teardown]).toEqual([]);
      expect(builder.intoCgroup).toBe(slot.none);
      expect(result).toEqual({
        paths: { v1: {} },
        unshareCgroupNs: false,
        usageFiles: [],
        enforced: [],
      });
    }
  });
});

describe('planCgroup on v1', () => {
  test('attach by the child, a watch for OOM, CPU time from cpuacct', () => {
    const host = v1Host(['memory', 'pids', 'cpuacct', 'cpu']);
    const { prepare, child, teardown, builder, result } = plan(host, spec(limits));
    expect(prepare).toEqual([
      'mkdir memory/ringfort-web-1',
      `write memory/ringfort-web-1/memory.limit_in_bytes ${1 << 26}`,
      'write memory/ringfort-web-1/memory.swappiness 0',
      'open memory/ringfort-web-1/tasks',
      'verifyFs',
      'watchOom memory/ringfort-web-1',
      'mkdir pids/ringfort-web-1',
      'write pids/ringfort-web-1/pids.max 32',
      'open pids/ringfort-web-1/tasks',
      'verifyFs',
      'mkdir cpuacct/ringfort-web-1',
      'open cpuacct/ringfort-web-1/tasks',
      'verifyFs',
    ]);
    expect(child).toEqual(['writeFd 0', 'close', 'writeFd 0', 'close', 'writeFd 0', 'close']);
    expect(teardown.filter((step) => step.startsWith('rmdir'))).toHaveLength(3);
    expect(builder.intoCgroup).toBe(slot.none);
    expect(result.unshareCgroupNs).toBe(true);
  });

  test('a controller that is in no tree is named', () => {
    expect(() => plan(v1Host(['memory']), spec(limits))).toThrow(
      /^controller pids: in no cgroup tree here, so pids.limit cannot be enforced/,
    );
  });

  test('a limit on CPU time needs something that counts it', () => {
    const timed = spec({}, { [annotation.cpuTime]: '1000' });
    expect(() => plan(v1Host(['memory']), timed)).toThrow(/^controller cpuacct: .*cpuTime/);
    expect(plan(v1Host(['cpuacct']), timed).prepare[0]).toBe('mkdir cpuacct/ringfort-web-1');
  });

  test('device rules', () => {
    const { prepare } = plan(v1Host(['devices']), spec({ devices: [{ allow: false }] }));
    expect(prepare).toContain('write devices/ringfort-web-1/devices.deny a');
    expect(prepare).toContain('write devices/ringfort-web-1/devices.allow c 1:3 rw');
  });

  test('an OOM killer that is held off is not watched', () => {
    const of = spec({ memory: { limit: 1 << 26, disableOOMKiller: true } });
    const { prepare } = plan(v1Host(['memory']), of);
    expect(prepare.some((step) => step.startsWith('watchOom'))).toBe(false);
  });
});

describe('chooseCgroup', () => {
  test('names', () => {
    expect(chooseCgroup('a_B-9', undefined, undefined)).toEqual({ name: 'ringfort-a_B-9' });
    expect(chooseCgroup('a', '/x.slice/u@1.service', undefined)).toEqual({
      parent: '/x.slice/u@1.service',
      name: 'ringfort-a',
    });
    expect(chooseCgroup('a', undefined, 'mine')).toEqual({ name: 'mine' });
    expect(chooseCgroup('a', undefined, '/mine')).toEqual({ parent: '/', name: 'mine' });
  });

  test.each(['', 'a/b', '..', 'a b', 'x'.repeat(65), 'ä'])('refuses the id %j', (id) => {
    expect(() => chooseCgroup(id, undefined, undefined)).toThrow(/^id: expected/);
  });

  test.each(['', 'a', '/a/../b', '/a/', '//a', '/.', '/a\0', '/a b', '/ä'])(
    'refuses the parent %j',
    (path) => {
      expect(() => chooseCgroup('a', path, undefined)).toThrow(/^cgroupParent: expected/);
    },
  );

  test.each(['', '/', '..', 'a/b', 'system.slice:docker:1', '/a/../b'])(
    'refuses the cgroupsPath %j',
    (path) => {
      expect(() => chooseCgroup('a', undefined, path)).toThrow(/^linux.cgroupsPath: expected/);
    },
  );

  test('refuses both', () => {
    expect(() => chooseCgroup('a', '/p', '/q')).toThrow(/either it or cgroupParent/);
  });
});

describe('controllersToEnable', () => {
  test('asks for what is not enabled yet', () => {
    fill(top, { ...v2Root, 'cgroup.procs': '' });
    const parent = { path: '/', dir: top, isRoot: false, controllers: ['cpu', 'pids'] };
    expect(controllersToEnable({ ...parent, enabled: ['pids'] }, ['cpu', 'pids'])).toEqual(['cpu']);
    expect(controllersToEnable({ ...parent, enabled: ['pids'] }, ['pids'])).toEqual([]);
  });
});
