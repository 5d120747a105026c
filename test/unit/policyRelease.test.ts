import { describe, expect, test } from '@jest/globals';
import { describePlan } from '../../lib/plan/describe.js';
import { planFlag, slot, wall } from '../../lib/plan/steps.js';
import { compileProgram } from '../../lib/policy/program.js';
import { compileRelease, fitsParked } from '../../lib/policy/release.js';
import { callRefusedToRelease } from '../../lib/policy/releaseCalls.js';
import { compileSeccomp } from '../../lib/seccomp/compile.js';
import { type Program, programSpec } from '../../lib/spec/program.js';
import { createSpecOf } from '../../lib/specOf.js';
import { fixedFacts } from '../helpers/facts.js';
import { expectGolden } from '../helpers/golden.js';

const container = createSpecOf('0123456789ab', {});
const parked = programSpec(container, { file: 'parked', args: [], options: {} });

function program(options: Program['options'] = {}) {
  return programSpec(container, { file: 'cat', args: ['-'], options }).process;
}

function release(options: Program['options'] = {}) {
  return compileRelease({
    parked: parked.process,
    process: program(options),
    facts: fixedFacts,
    fds: [10, 11, 12],
    limits: [{ op: 'write', dir: slot.host, path: '/c/memory.max', data: Buffer.from('1024') }],
  });
}

function parkedPlan() {
  return compileProgram({
    spec: parked,
    facts: fixedFacts,
    fds: [],
    filter: { program: new Uint8Array(8), flags: 0 },
    planCgroup: () => ({ paths: { v1: {} }, unshareCgroupNs: true, usageFiles: [], enforced: [] }),
    join: false,
    parks: true,
  }).plan;
}

test('a parked program and its release, step by step', () => {
  expectGolden('parked', `${describePlan(parkedPlan())}\nrelease\n${describePlan(release())}`);
});

test('it waits behind every wall, with none of what is the use’s', () => {
  const { flags, waived, child } = parkedPlan();
  expect(flags).toBe(planFlag.inside | planFlag.park);
  expect(waived & (wall.seccomp | wall.noNewPrivs | wall.assert)).toBe(0);
  const ops = child.map(({ op }) => op);
  expect(ops.at(-1)).toBe('park');
  expect(ops.at(-2)).toBe('assert');
  for (const op of ['stdio', 'chdir', 'exec', 'pty']) expect(ops).not.toContain(op);
});

test('a release sets only the limits that are not there yet', () => {
  const resources = (options: Program['options']) =>
    release(options).child.flatMap((step) => (step.op === 'rlimit' ? [step.resource] : []));
  // RLIMIT_NOFILE, RLIMIT_FSIZE (getrlimit(2))
  expect(resources({})).toEqual([7]);
  expect(resources({ limits: { fsize: 4096 } }).sort()).toEqual([1, 7]);
});

describe('what a parked program can become', () => {
  test.each<[string, boolean, Program['options']]>([
    ['the same', true, {}],
    ['another environment, directory and umask', true, { env: { A: '1' }, cwd: '/', umask: 0 }],
    ['lower limits', true, { limits: { nofile: 10, fsize: 1 } }],
    ['another user', false, { uid: 7 }],
    ['another group', false, { gid: 7 }],
    ['more groups', false, { groups: [7] }],
    ['one with a terminal', false, { pty: { cols: 80, rows: 24 } }],
  ])('%s: %s', (_name, fits, options) => {
    expect(fitsParked(parked.process, program(options))).toBe(fits);
  });

  test('not one with a limit above its own', () => {
    const bounded = createSpecOf('0123456789ab', { limits: { fsize: 100 } });
    const low = programSpec(bounded, { file: 'parked', args: [], options: {} }).process;
    const high = programSpec(bounded, { file: 'a', args: [], options: { limits: { fsize: 101 } } });
    expect(fitsParked(low, high.process)).toBe(false);
  });
});

describe('the filter that it waits behind', () => {
  const refused = (seccomp: Parameters<typeof compileSeccomp>[0], arch: 'x64' | 'arm64') =>
    callRefusedToRelease(compileSeccomp(seccomp, { arch }).filter, arch);

  test.each(['x64', 'arm64'] as const)('the default one lets it start on %s', (arch) => {
    const { seccomp } = container.linux;
    expect(seccomp).toBeDefined();
    if (seccomp !== undefined) expect(refused(seccomp, arch)).toBeUndefined();
  });

  test.each([
    ...['write', 'recvmsg', 'dup3', 'close_range', 'chdir', 'getcwd', 'prlimit64', 'umask'],
    ...['execve', 'exit_group'],
  ])('one without %s does not', (name) => {
    const rule = { names: [name], action: 'SCMP_ACT_ERRNO' as const };
    expect(refused({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] }, 'x64')).toBe(name);
  });

  test('one that allows nothing does not', () => {
    const shut = { defaultAction: 'SCMP_ACT_KILL_PROCESS' } as const;
    expect(refused(shut, 'x64')).toBe('write');
  });

  test('its conditions are looked at', () => {
    const rule = (value: number) => ({
      defaultAction: 'SCMP_ACT_ALLOW' as const,
      syscalls: [
        {
          names: ['dup3'],
          action: 'SCMP_ACT_ERRNO' as const,
          args: [{ index: 1, value, op: 'SCMP_CMP_EQ' as const }],
        },
      ],
    });
    expect(refused(rule(2), 'x64')).toBe('dup3');
    expect(refused(rule(7), 'x64')).toBeUndefined();
  });
});
