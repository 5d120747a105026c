import { invalid } from '../errors.js';
import type { SpecDeviceRule } from '../spec/types.js';

/** Devices of one kind and the accesses (letters of `rwm`) that are the exception for them. */
export interface DeviceException {
  type: 'b' | 'c';
  /** Absent: every number. */
  major?: number;
  minor?: number;
  access: string;
}

/** OCI device rules in the kernel's own terms: one answer for all, and the exceptions to it. */
export interface DevicePolicy {
  allow: boolean;
  exceptions: readonly DeviceException[];
}

const all = 'rwm';

/** What every container must be able to use: /dev/null zero full random urandom tty ptmx, pts/*. */
const standard: readonly DeviceException[] = [
  ...[3, 5, 7, 8, 9].map((minor) => ({ type: 'c' as const, major: 1, minor, access: 'rw' })),
  { type: 'c', major: 5, minor: 0, access: 'rw' },
  { type: 'c', major: 5, minor: 2, access: 'rw' },
  { type: 'c', major: 136, access: 'rw' },
];

/**
 * Folds OCI device rules, in their order, into one default and its exceptions: the form that the v1
 * controller keeps (cgroup-v1/devices.rst) and that `deviceProgram` compiles, so that the same
 * rules mean the same on both. Where everything else is denied, the standard devices of
 * config-linux.md ("Default Devices") stay usable.
 * @throws InvalidSpecError for a rule that takes a part out of an earlier, wider one: the v1
 * controller cannot express it
 */
export function devicePolicy(rules: readonly SpecDeviceRule[]): DevicePolicy {
  let allow = true;
  let exceptions: DeviceException[] = [];
  for (const [at, rule] of rules.entries()) {
    const access = rule.access ?? all;
    const [major, minor] = [rule.major, rule.minor].map((n) => (n === -1 ? undefined : n));
    const type = rule.type ?? 'a';
    if (type === 'a' && major === undefined && minor === undefined && isAll(access)) {
      allow = rule.allow;
      exceptions = [];
      continue;
    }
    for (const kind of type === 'a' ? (['b', 'c'] as const) : [type]) {
      const item: DeviceException = {
        type: kind,
        ...(major === undefined ? {} : { major }),
        ...(minor === undefined ? {} : { minor }),
        access,
      };
      if (rule.allow === allow) exceptions = without(exceptions, item, at);
      else exceptions.push(item);
    }
  }
  return { allow, exceptions: allow ? exceptions : [...standard, ...exceptions] };
}

/** The policy as writes for the v1 devices controller; a new cgroup starts as its parent's copy. */
export function deviceWrites(policy: DevicePolicy): { file: string; data: string }[] {
  const [reset, add] = policy.allow
    ? ['devices.allow', 'devices.deny']
    : ['devices.deny', 'devices.allow'];
  const number = (n: number | undefined) => (n === undefined ? '*' : String(n));
  return [
    { file: reset, data: 'a' },
    ...policy.exceptions.map(({ type, major, minor, access }) => ({
      file: add,
      data: `${type} ${number(major)}:${number(minor)} ${access}`,
    })),
  ];
}

/** Takes a rule back out of the exceptions. */
function without(
  exceptions: readonly DeviceException[],
  rule: DeviceException,
  at: number,
): DeviceException[] {
  return exceptions.flatMap((old) => {
    const shared = [...old.access].filter((letter) => rule.access.includes(letter));
    if (shared.length === 0 || !overlap(old, rule)) return [old];
    if (!covers(rule, old)) {
      throw invalid(
        `linux.resources.devices[${at}]`,
        'a rule as wide as the one it takes back',
        `${rule.type} ${rule.major ?? '*'}:${rule.minor ?? '*'} ${rule.access}`,
      );
    }
    const access = [...old.access].filter((letter) => !shared.includes(letter)).join('');
    return access === '' ? [] : [{ ...old, access }];
  });
}

function overlap(a: DeviceException, b: DeviceException): boolean {
  const same = (x: number | undefined, y: number | undefined) =>
    x === undefined || y === undefined || x === y;
  return a.type === b.type && same(a.major, b.major) && same(a.minor, b.minor);
}

function covers(wide: DeviceException, narrow: DeviceException): boolean {
  const within = (x: number | undefined, y: number | undefined) => x === undefined || x === y;
  return within(wide.major, narrow.major) && within(wide.minor, narrow.minor);
}

function isAll(access: string): boolean {
  return [...all].every((letter) => access.includes(letter));
}
