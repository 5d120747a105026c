import { expect, test } from '@jest/globals';
import { ContainerError } from '../../lib/errors.js';
import type { ContainerOptions } from '../../lib/options.js';
import { PlanBuilder } from '../../lib/plan/builder.js';
import { describePlan } from '../../lib/plan/describe.js';
import { encodePlan } from '../../lib/plan/encode.js';
import type { Plan, StepOf } from '../../lib/plan/steps.js';
import type { Facts } from '../../lib/policy/facts.js';
import { planMasks, planMounts, planRoot } from '../../lib/policy/mounts/index.js';
import { specFromOptions } from '../../lib/spec/fromOptions.js';
import type { Spec } from '../../lib/spec/types.js';
import { Resolve } from '../../lib/sys/constants.js';
import { fixedFacts, userFacts } from '../helpers/facts.js';
import { expectGolden } from '../helpers/golden.js';

function specOf(options: ContainerOptions): Spec {
  const context = {
    cwd: '/srv',
    id: 'box',
    seccomp: () => ({ defaultAction: 'SCMP_ACT_ERRNO' }),
  };
  return specFromOptions({ file: 'true', args: [] }, options, context);
}

/** The mounts of a container and nothing else. */
function planOf(spec: Spec, facts: Facts = fixedFacts): Plan {
  const builder = new PlanBuilder();
  const root = planRoot(builder, spec, facts);
  planMounts(builder, spec, facts, root);
  planMasks(builder, spec, facts, root);
  if (root !== undefined) builder.add('child', { op: 'pivotRoot', root });
  return builder.build();
}

function failure(options: ContainerOptions, facts: Facts = fixedFacts): ContainerError {
  try {
    planOf(specOf(options), facts);
  } catch (error) {
    if (error instanceof ContainerError) return error;
    throw error;
  }
  throw new Error('the plan was made');
}

const golden: Record<string, { options: ContainerOptions; facts?: Facts }> = {
  'root-host': { options: {} },
  'root-directory-readonly': {
    options: { rootfs: './image' },
    facts: { ...fixedFacts, root: { existing: new Set(['/proc', '/dev', '/sys']) } },
  },
  'root-directory-stubs': {
    options: { rootfs: './image', mounts: ['./data:/link/data', './file:/etc/file:ro'] },
    facts: {
      ...fixedFacts,
      root: {
        existing: new Set(['/proc', '/dev', '/sys']),
        missing: new Map([['/link/data', '/var/data']]),
      },
    },
  },
  'root-overlay-ephemeral': { options: { rootfs: { lower: ['top', 'base'], size: '8MiB' } } },
  'root-overlay-kept': {
    options: { rootfs: { lower: ['base'], upper: 'box/upper', work: 'box/work' } },
  },
  binds: {
    options: {
      maskedPaths: [],
      readonlyPaths: [],
      mounts: [
        './data:/tmp/deep/data',
        './file:/tmp/deep/file:ro,noexec',
        { destination: '/opt/lock', type: 'tmpfs', options: ['ro', 'size=1m'] },
        './data:/opt/lock/data:bind,noatime',
        {
          destination: '/opt/merged',
          type: 'overlay',
          options: ['lowerdir=./a:./b', 'upperdir=./u/up', 'workdir=./u/work', 'noexec'],
        },
      ],
    },
  },
  'binds-user': {
    options: { maskedPaths: [], readonlyPaths: [], mounts: ['./data:/data:ro'] },
    facts: userFacts,
  },
};

for (const [name, { options, facts }] of Object.entries(golden)) {
  test(`plan of ${name}`, () => {
    const plan = planOf(specOf(options), facts);
    expectGolden(name, describePlan(plan));
    expect(encodePlan(plan).length).toBeGreaterThan(0);
  });
}

const everyPlan = Object.values(golden).map(({ options, facts }) => planOf(specOf(options), facts));

test('nothing is made outside our own tmpfs', () => {
  for (const plan of everyPlan) {
    const tmpfs = plan.child.filter((step) => step.op === 'fsMount' && step.type === 'tmpfs');
    const ours = new Set(tmpfs.map((step) => (step as StepOf<'fsMount'>).slot));
    for (const step of plan.child) {
      if (step.op !== 'mkdir' && step.op !== 'create' && step.op !== 'symlink') continue;
      expect(ours).toContain(step.dir);
      expect(step.path).not.toMatch(/^\/|\.\./);
    }
    expect(
      plan.prepare.filter(({ op }) => !/^(openTree|mountSetattr|verifyDevice)$/.test(op)),
    ).toEqual([]);
  }
});

test('every attach resolves inside a root, and never through a link to /proc, /sys or /dev', () => {
  const needed = BigInt(Resolve.RESOLVE_IN_ROOT | Resolve.RESOLVE_NO_MAGICLINKS);
  const strict = BigInt(Resolve.RESOLVE_NO_SYMLINKS);
  for (const step of everyPlan.flatMap(({ child }) => child)) {
    if (step.op !== 'attach') continue;
    expect(step.resolve & needed).toBe(needed);
    if (/^\/(proc|sys|dev)\b/.test(step.path)) expect(step.resolve & strict).toBe(strict);
  }
});

test('every mount is private before the root is entered', () => {
  for (const plan of everyPlan) {
    const steps = [...plan.prepare, ...plan.child];
    const cloned = new Set(steps.flatMap((step) => (step.op === 'openTree' ? [step.slot] : [])));
    for (const step of steps) {
      if (step.op !== 'mountSetattr' || step.propagation === 0n) continue;
      cloned.delete(step.slot);
      if ((step.flags & 0x8000) === 0) continue;
      // Recursive on a tmpfs: everything attached to it or below its place so far.
      const until = plan.child.indexOf(step);
      for (const before of plan.child.slice(0, Math.max(until, 0)))
        if (before.op === 'attach') cloned.delete(before.mount);
    }
    expect([...cloned]).toEqual([]);
  }
});

test('every tmpfs has a bound on bytes and on inodes', () => {
  for (const step of everyPlan.flatMap(({ child }) => child)) {
    if (step.op !== 'fsMount' || step.type !== 'tmpfs') continue;
    expect(step.options.some((word) => /^size=[1-9]/.test(word))).toBe(true);
    expect(step.options.some((word) => /^nr_inodes=[1-9]/.test(word))).toBe(true);
  }
});

test('a joined mount namespace has no root of ours and no mounts', () => {
  const spec = specOf({ namespaces: { mount: { path: '/proc/7/ns/mnt' } } });
  const plan = planOf(spec);
  expect([...plan.prepare, ...plan.child]).toEqual([]);
});

test('a writable directory must have its mount points', () => {
  const error = failure({ rootfs: '/image', readonly: false, mounts: ['/a:/nowhere'] });
  expect(error).toMatchObject({ code: 'ERR_MOUNT_POINT_MISSING', path: '/nowhere' });
  expect(error.message).toContain('/image');
});

test('a mount point inside a bind must exist in its source', () => {
  const error = failure({ mounts: ['/a:/mnt', '/b:/mnt/b'] });
  expect(error).toMatchObject({ code: 'ERR_MOUNT_POINT_MISSING', path: '/mnt/b' });
});

test('a later mount above an earlier one is what a third lies on', () => {
  const tmpfs = (destination: string) => ({ destination, type: 'tmpfs' });
  const plan = planOf(
    specOf({ mounts: [tmpfs('/mnt/a'), tmpfs('/mnt'), '/srv/data:/mnt/a/b'], maskedPaths: [] }),
  );
  const slots = plan.child.flatMap((step, i) => {
    const next = plan.child[i + 1];
    return step.op === 'fsMount' && next?.op === 'attach' && next.path === '/mnt'
      ? [step.slot]
      : [];
  });
  const made = plan.child.filter((step) => step.op === 'mkdir' && step.dir === slots[0]);
  expect(made.map((step) => (step as StepOf<'mkdir'>).path)).toEqual(['a', 'a/b']);
});

test('read-only is enforced or refused where the container may remount', () => {
  const capabilities = ['CAP_SYS_ADMIN'];
  expect(failure({ capabilities, mounts: ['/a:/mnt:ro'] })).toMatchObject({
    code: 'ERR_READONLY_NOT_ENFORCED',
    option: 'mounts[/mnt].options',
  });
  planOf(specOf({ capabilities, mounts: ['/a:/mnt:ro,dangerous'] }));
  planOf(specOf({ capabilities, mounts: ['/a:/mnt'] }));
  const plan = planOf(specOf({ capabilities, rootfs: '/image', maskedPaths: [] }));
  const types = plan.child.flatMap((step) => (step.op === 'fsMount' ? [step.type] : []));
  expect(types).toContain('overlay');
});

test('owners are mapped for root only, and an explicit wish is refused elsewhere', () => {
  const options = { mounts: ['/a:/mnt:idmap'] };
  expect(planOf(specOf(options)).attend).toHaveLength(1);
  expect(failure(options, userFacts).code).toBe('ERR_IDMAP_UNAVAILABLE');
  const refused = { ...fixedFacts, notIdmappable: new Set(['/a']) };
  expect(failure(options, refused).code).toBe('ERR_IDMAP_UNAVAILABLE');
  expect(planOf(specOf({ mounts: ['/a:/mnt'] }), refused).attend).toEqual([]);
});

test('with something below that cannot be mapped, the top alone is', () => {
  const mixed = { ...fixedFacts, unmappedBelow: new Set(['/a']) };
  const [step] = planOf(specOf({ mounts: ['/a:/mnt'] }), mixed).attend;
  expect(step).toMatchObject({ op: 'idmapMount', recursive: 0 });
  const [all] = planOf(specOf({ mounts: ['/b:/mnt'] }), mixed).attend;
  expect(all).toMatchObject({ op: 'idmapMount', recursive: 1 });
  expect(failure({ mounts: ['/a:/mnt:idmap'] }, mixed)).toMatchObject({
    code: 'ERR_IDMAP_UNAVAILABLE',
    path: '/a',
  });
});

test("a mount's own id maps must be the container's", () => {
  const mount = { destination: '/mnt', type: 'bind', source: '/a' };
  const { uidMappings, gidMappings } = fixedFacts;
  const same = { ...mount, uidMappings: [...uidMappings], gidMappings: [...gidMappings] };
  expect(planOf(specOf({ mounts: [same] })).attend).toHaveLength(1);
  const other = [{ containerID: 0, hostID: 5, size: 1 }];
  const error = failure({ mounts: [{ ...mount, uidMappings: other, gidMappings: other }] });
  expect(error).toMatchObject({ code: 'ERR_IDMAP_UNAVAILABLE' });
});

test('many layers need a kernel that takes them one by one', () => {
  const rootfs = { lower: Array.from({ length: 40 }, (_, i) => `/layers/${i}`) };
  const overlay = planOf(specOf({ rootfs })).child.find(
    (step) => step.op === 'fsMount' && step.type === 'overlay',
  ) as StepOf<'fsMount'>;
  expect(overlay.options.filter((word) => word.startsWith('lowerdir+='))).toHaveLength(40);
  expect(failure({ rootfs }, { ...fixedFacts, kernel: [6, 1] })).toMatchObject({
    code: 'ERR_TOO_MANY_LAYERS',
  });
});

test('an upper path that overlayfs would misread is refused', () => {
  const rootfs = { lower: ['/a'], upper: '/b/x:y/u', work: '/b/w' };
  expect(failure({ rootfs }).option).toBe('rootfs.upper');
});

test('options of a mount are known, or an error', () => {
  const tmpfs = (...options: string[]) => ({
    mounts: [{ destination: '/mnt', type: 'tmpfs', options }],
  });
  expect(failure(tmpfs('sise=4k')).option).toBe('mounts[/mnt].options[2]');
  expect(failure(tmpfs('size=0')).code).toBe('ERR_INVALID_OPTION');
  expect(failure(tmpfs('nr_inodes=0k')).code).toBe('ERR_INVALID_OPTION');
  expect(failure({ mounts: [{ destination: '/m', type: 'proc', options: ['size=1'] }] }).code).toBe(
    'ERR_INVALID_OPTION',
  );
  const none: Spec = specOf({});
  none.mounts = [{ destination: '/m', type: 'nfs' }];
  expect(() => planOf(none)).toThrow(
    expect.objectContaining({ code: 'ERR_UNSUPPORTED_MOUNT_TYPE' }),
  );
});
