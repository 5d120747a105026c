import type { HostFacts } from './host/hostFacts.js';
import type { Lateral } from './host/idRanges.js';
import { hasLandlock } from './policy/landlock.js';
import { annotation } from './spec/annotations.js';
import { defaultMaskedPaths, defaultReadonlyPaths } from './spec/defaults.js';
import { namespaceMode, namespaceTypes } from './spec/namespaces.js';
import type { Spec } from './spec/types.js';

/** What stands between a container and everything else, as it was launched. */
export interface Isolation {
  /** Walls that were asked for, by default or by name. */
  asked: string[];
  /** Of these, the ones that stand. Everything that was not refused is enforced. */
  enforced: string[];
  /** Walls that ringfort has but that were given up by name, or that this host lacks, and why. */
  missing: { wall: string; why: string }[];
}

/** What `describeIsolation` looks at. */
export interface IsolationInput {
  spec: Spec;
  facts: HostFacts;
  lateral: Lateral;
  /** Limits the cgroup enforces. */
  limits: readonly string[];
}

/**
 * The report of a container that has been launched. A wall that cannot be enforced stops a launch,
 * so what was asked for is enforced; the exception is Landlock, whose default is `'auto'`.
 */
export function describeIsolation({ spec, facts, lateral, limits }: IsolationInput): Isolation {
  const asked: string[] = [];
  const missing: Isolation['missing'] = [];
  const wall = (name: string, stands: boolean, why: string) => {
    if (stands) asked.push(name);
    else missing.push({ wall: name, why });
  };
  const listed = new Map(spec.linux.namespaces.map(({ type, path }) => [type, path]));
  for (const type of namespaceTypes) {
    // Not a wall: it only shifts clocks.
    if (type === 'time') continue;
    const why = listed.has(type) ? 'joined' : "the host's, by name";
    wall(`namespace:${type}`, listed.has(type) && listed.get(type) === undefined, why);
  }
  wall('root:pivot', spec.root !== undefined, 'a joined mount namespace keeps its root');
  wall('root:read-only', spec.root?.readonly === true, 'a writable root');
  const bounding = spec.process?.capabilities?.bounding ?? [];
  wall('capabilities:none', bounding.length === 0, `kept: ${bounding.join(' ')}`);
  wall('no-new-privileges', spec.process?.noNewPrivileges !== false, 'given up by name');
  const { seccomp } = spec.linux;
  const passes = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'];
  const open = seccomp !== undefined && passes.includes(seccomp.defaultAction);
  const whyOpen = open ? 'its profile allows what it does not name' : 'given up by name';
  wall('seccomp', seccomp !== undefined && !open, whyOpen);
  const mapped = namespaceMode(spec.linux.namespaces, 'user') === 'new';
  const ids = mapped ? `${lateral} of ids` : 'ids of a user namespace that is not its own';
  wall('ids:own-range', mapped && lateral === 'own-range', ids);
  const gaveUp = spec.annotations?.[annotation.limits] === 'none';
  const bounded = ['memory.limit', 'pids.limit'].every((name) => limits.includes(name));
  wall('limits', bounded, gaveUp ? 'given up by name' : 'the spec limits not both memory and pids');
  if (spec.root !== undefined) {
    const { maskedPaths, readonlyPaths } = spec.linux;
    const why = 'not all of the default list';
    wall('paths:masked', covers(maskedPaths, defaultMaskedPaths), why);
    wall('paths:read-only', covers(readonlyPaths, defaultReadonlyPaths), why);
  }
  const enforced = [...asked, ...limits.map((name) => `limit:${name}`)];
  asked.push(...limits.map((name) => `limit:${name}`));
  addLandlock(spec, facts, asked, enforced, missing);
  return { asked, enforced, missing };
}

function covers(given: readonly string[] = [], paths: readonly string[]): boolean {
  return paths.every((path) => given.includes(path));
}

function addLandlock(
  spec: Spec,
  facts: HostFacts,
  asked: string[],
  enforced: string[],
  missing: Isolation['missing'],
): void {
  const given = spec.annotations?.[annotation.landlock] !== 'off';
  if (given) asked.push('landlock');
  if (hasLandlock(spec, facts.landlockAbi)) enforced.push(`landlock:abi${facts.landlockAbi}`);
  else missing.push({ wall: 'landlock', why: given ? whyNoLandlock(spec) : 'given up by name' });
}

function whyNoLandlock(spec: Spec): string {
  return spec.process?.noNewPrivileges === false
    ? 'it stands on no_new_privs'
    : 'this kernel has none, or too old a one';
}
