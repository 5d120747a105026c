import { expect, test } from '@jest/globals';
import { PlanBuilder } from '../../lib/plan/builder.js';
import {
  describePlan,
  describeStep,
  phaseOf,
  slotNames,
  syscallOf,
} from '../../lib/plan/describe.js';
import { bytes, type Kind, type Op, type Step, slot, stepTable } from '../../lib/plan/steps.js';

const samples: Record<Kind, unknown> = {
  u: 1,
  q: 1n,
  s: 'text',
  b: new Uint8Array([1, 0, 0, 0]),
  v: ['text'],
  f: 3,
  o: 4,
};

const ops = Object.keys(stepTable) as Op[];

/** A step of that kind with any values at all. */
function sample(op: Op): Step {
  const fields = stepTable[op].map(([name, kind]) => [name, samples[kind]]);
  return { op, ...Object.fromEntries(fields) } as Step;
}

test.each(ops)('%s has words, a system call and a phase', (op) => {
  const step = sample(op);
  expect(describeStep(step)).toMatch(new RegExp(`^${op}( |$)`));
  expect(describeStep(step)).not.toMatch(/undefined|\n|\[object/);
  expect(syscallOf(step)).toMatch(/^[a-z0-9_]+$/);
  expect(phaseOf(step)).toMatch(/^[a-z]+$/);
});

test('flags, options and modes are words', () => {
  const mount: Step = {
    op: 'fsMount',
    slot: 1,
    type: 'tmpfs',
    options: ['size=64m'],
    attributes: 6,
  };
  expect(describeStep(mount)).toBe('fsMount tmpfs (nosuid,nodev,size=64m)');
  const attributes: Step = {
    op: 'mountSetattr',
    slot: 1,
    flags: 0x9000,
    set: 0x1n | 0x10n,
    clear: 0x74n,
    propagation: 1n << 18n,
    userns: slot.none,
  };
  expect(describeStep(attributes)).toBe('mountSetattr #1 (recursive,ro,noatime,not nodev,private)');
  expect(describeStep({ op: 'unshare', flags: 0x20000 | 0x2000000 })).toBe('unshare mount cgroup');
  expect(describeStep({ op: 'umask', mask: 0o22 })).toBe('umask 022');
  expect(describeStep({ op: 'rlimit', resource: 7, soft: 5n, hard: 2n ** 64n - 1n })).toBe(
    'rlimit RLIMIT_NOFILE 5 unlimited',
  );
});

test('bytes are text when they can be read, else a number; long ones are cut', () => {
  const write = (data: Uint8Array) => describeStep({ op: 'writeFd', slot: 1, data });
  expect(write(bytes('max'))).toBe('writeFd #1 max');
  expect(write(bytes('0 1 1\n'))).toBe('writeFd #1 "0 1 1\\n"');
  expect(write(new Uint8Array([0xff, 0xfe]))).toBe('writeFd #1 2 bytes');
  expect(write(bytes('\u001b[2J'))).toBe('writeFd #1 4 bytes');
  expect(write(bytes('x'.repeat(500))).length).toBeLessThan(90);
});

test('the values of the environment are never shown', () => {
  const exec: Step = {
    op: 'exec',
    candidates: ['/bin/a', '/usr/bin/a'],
    argv: ['a', '-c', 'x y'],
    env: ['TOKEN=secret'],
  };
  expect(describeStep(exec)).toBe('exec a -c "x y" (1 variables)');
});

test('a plan names what its slots hold', () => {
  const builder = new PlanBuilder([7]);
  const [tree, root] = [builder.newSlot(), builder.newSlot()];
  builder.cloneFlags = 0x20000000n | 0x20000n;
  builder.add('prepare', { op: 'openTree', slot: tree, dir: slot.host, path: '/usr', flags: 1 });
  builder.add(
    'child',
    { op: 'wait' },
    { op: 'fsMount', slot: root, type: 'tmpfs', options: [], attributes: 0 },
    { op: 'attach', mount: root, root: slot.home, path: 'root', resolve: 0n },
    { op: 'attach', mount: tree, root, path: '/usr', resolve: 0n },
  );
  const plan = builder.build();
  expect([...slotNames(plan)]).toEqual([
    [0, 'stdin'],
    [tree, '/usr'],
    [root, 'root'],
  ]);
  expect(describePlan(plan)).toBe(
    [
      'clone    mount pid',
      'prepare',
      '   0  openTree         /usr (copy)',
      'child',
      '   0  wait             for the host side',
      '   1  fsMount          tmpfs',
      '   2  attach           root on home:root',
      '   3  attach           /usr on /usr',
      '',
    ].join('\n'),
  );
});
