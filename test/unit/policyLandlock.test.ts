import { expect, test } from '@jest/globals';
import type { ContainerOptions } from '../../lib/options.js';
import { PlanBuilder } from '../../lib/plan/builder.js';
import { LandlockFs } from '../../lib/plan/flags.js';
import type { Step, StepOf } from '../../lib/plan/steps.js';
import type { Facts } from '../../lib/policy/facts.js';
import {
  handledRights,
  planLandlockRestrict,
  planLandlockRules,
} from '../../lib/policy/landlock.js';
import { specFromOptions } from '../../lib/spec/fromOptions.js';
import { fixedFacts } from '../helpers/facts.js';

function stepsOf(options: ContainerOptions, facts: Facts = fixedFacts, lives = false): Step[] {
  const context = { cwd: '/srv', id: 'box', seccomp: () => ({ defaultAction: 'SCMP_ACT_ERRNO' }) };
  const builder = new PlanBuilder();
  const spec = specFromOptions({ file: 'true', args: [] }, options, context);
  const ruleset = planLandlockRules(builder, spec, facts, lives);
  if (ruleset !== undefined) planLandlockRestrict(builder, ruleset);
  return builder.child;
}

function accessOn(path: string, options: ContainerOptions, facts?: Facts): bigint | undefined {
  const rules = stepsOf(options, facts).filter((step) => step.op === 'landlockPath');
  return (rules as StepOf<'landlockPath'>[]).find((rule) => rule.path === path)?.access;
}

test('a read-only root may be read and executed, and only what is mounted writable changed', () => {
  const options = { mounts: ['./data:/data', './seen:/seen:ro'] };
  const { EXECUTE, READ_FILE, READ_DIR, WRITE_FILE, MAKE_REG } = LandlockFs;
  expect(accessOn('/', options)).toBe(EXECUTE | READ_FILE | READ_DIR);
  expect(accessOn('/seen', options)).toBeUndefined();
  for (const path of ['/data', '/tmp', '/root']) {
    expect((accessOn(path, options) ?? 0n) & (WRITE_FILE | MAKE_REG)).toBe(WRITE_FILE | MAKE_REG);
  }
  expect((accessOn('/proc', options) ?? 0n) & MAKE_REG).toBe(0n);
});

test('a writable root may be changed, devices never made', () => {
  const access = accessOn('/', { rootfs: '/image', readonly: false }) ?? 0n;
  expect(access & LandlockFs.REMOVE_DIR).toBe(LandlockFs.REMOVE_DIR);
  expect(access & (LandlockFs.MAKE_CHAR | LandlockFs.MAKE_BLOCK)).toBe(0n);
});

test('a file gets no right of directories, which the kernel would refuse', () => {
  const { EXECUTE, WRITE_FILE, READ_FILE, TRUNCATE, IOCTL_DEV } = LandlockFs;
  const access = accessOn('/f', { mounts: ['/srv/file:/f'] }) ?? 0n;
  expect(access & ~(EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV)).toBe(0n);
  expect(access & WRITE_FILE).toBe(WRITE_FILE);
});

test('no rule has a right that the ruleset does not handle', () => {
  for (const abi of [2, 3, 4, 5, 6, 7]) {
    const steps = stepsOf({}, { ...fixedFacts, landlockAbi: abi });
    const [ruleset] = steps as [StepOf<'landlockRuleset'>];
    expect(ruleset.fs).toBe(handledRights(abi));
    expect(ruleset.scoped).toBe(abi >= 6 ? 3n : 0n);
    for (const step of steps) {
      if (step.op === 'landlockPath') expect(step.access & ~ruleset.fs).toBe(0n);
    }
    expect(steps.at(-1)?.op).toBe('landlockRestrict');
  }
});

test('programs of one container reach each other where its own namespaces hold them together', () => {
  const scoped = (options: ContainerOptions) =>
    (stepsOf(options, { ...fixedFacts, landlockAbi: 6 }, true)[0] as StepOf<'landlockRuleset'>)
      .scoped;
  expect(scoped({})).toBe(0n);
  expect(scoped({ network: 'host' })).toBe(1n);
  expect(scoped({ namespaces: { pid: 'host' } })).toBe(2n);
});

test('it is left out, or an error, where the kernel has none', () => {
  const none = { ...fixedFacts, landlockAbi: 0 };
  expect(stepsOf({}, none)).toEqual([]);
  expect(stepsOf({ landlock: 'off' })).toEqual([]);
  expect(() => stepsOf({ landlock: 'require' }, none)).toThrow(
    expect.objectContaining({ code: 'ERR_LANDLOCK_UNAVAILABLE', option: 'landlock' }),
  );
});

test('the first ABI, which forbids every rename between directories, is used only if required', () => {
  const first = { ...fixedFacts, landlockAbi: 1 };
  expect(stepsOf({}, first)).toEqual([]);
  expect(stepsOf({ landlock: 'require' }, first)[0]?.op).toBe('landlockRuleset');
});
