import { closeSync } from 'node:fs';
import { type CgroupPlan, currentCgroups, planCgroup } from './cgroups/index.js';
import { type ReadPaths, readPaths } from './follow.js';
import { checkIds } from './host/checkIds.js';
import { checkSources } from './host/checkSources.js';
import type { IdLease, IdRequest } from './host/idRanges.js';
import { openNamespaces } from './host/openNamespaces.js';
import { realSources } from './host/realSources.js';
import { rootFacts } from './host/rootFacts.js';
import { lookUpUser } from './host/userLookup.js';
import { describeIsolation, type Isolation } from './isolation.js';
import type { LaunchInput, RunnableSpec } from './launch.js';
import { askForTrace, encodePlan } from './plan/encode.js';
import { type Plan, planFlag } from './plan/steps.js';
import type { Facts } from './policy/facts.js';
import { compilePlan, type PlanInput } from './policy/order.js';
import { guardUid } from './policy/users.js';
import { compileSeccomp } from './seccomp/compile.js';
import { annotation } from './spec/annotations.js';
import { namespaceMode } from './spec/namespaces.js';
import type { Spec, SpecSeccomp } from './spec/types.js';
import type { Supervisor } from './supervisor.js';
import { mark, tracing } from './trace.js';

/** A compiled launch: everything decided, nothing created but the id lease. */
export interface Prepared {
  /** What was decided, for words: errors and debug output. */
  readonly plan: Plan;
  bytes: Uint8Array;
  /** Descriptors that travel with it. */
  fds: readonly number[];
  reads: ReadPaths;
  /** Its init takes programs. */
  serves: boolean;
  cgroup: CgroupPlan;
  isolation: Isolation;
  spec: RunnableSpec;
  facts: Facts;
  lease: IdLease;
  /** Namespace descriptors that were opened for it. */
  opened: number[];
}

/** Whether the container is shown directories of the host whose owners should look right. */
function sharesHostDirs(spec: Spec): boolean {
  const host = spec.annotations?.[annotation.rootfs] === 'host';
  return (
    !host ||
    (spec.mounts ?? []).some(
      ({ type, options = [] }) =>
        type === 'bind' ||
        type === 'overlay' ||
        options.includes('bind') ||
        options.includes('rbind'),
    )
  );
}

/** Who is pid 1. */
function initOf(spec: Spec, lives: boolean): PlanInput['init'] {
  switch (spec.annotations?.[annotation.init]) {
    case 'false':
      return 'none';
    case 'only':
      return 'only';
    default:
      return lives ? 'serve' : 'run';
  }
}

/** Id of the container's root in the launcher's ids, where it is not the launcher's own. */
export function rootUid({ uidMappings }: Pick<Facts, 'uidMappings'>): number | undefined {
  const id = uidMappings.find(({ containerID }) => containerID === 0)?.hostID;
  return id === 0 ? undefined : id;
}

type Filter = Pick<PlanInput, 'filter'>;

/** Every program of a container has the filter of its one spec. */
const filters = new WeakMap<SpecSeccomp, Filter>();

/** The compiled seccomp filter of a spec; nothing where it has none. */
export function filterOf(spec: Spec, facts: Pick<Facts, 'arch'>): Filter {
  const { seccomp } = spec.linux;
  if (seccomp === undefined) return {};
  let filter = filters.get(seccomp);
  if (filter === undefined) {
    const { filter: program, flags } = compileSeccomp(seccomp, { arch: facts.arch });
    filter = { filter: { program, flags } };
    filters.set(seccomp, filter);
  }
  return filter;
}

function idRequest(spec: Spec): IdRequest {
  const pool = spec.annotations?.[annotation.idPool];
  return {
    shareHostDirs: sharesHostDirs(spec),
    uidMappings: spec.linux.uidMappings,
    gidMappings: spec.linux.gidMappings,
    pool: pool === undefined ? undefined : JSON.parse(pool),
  };
}

/** Takes ids for a spec. @throws as `IdRanges.acquire` */
export function leaseFor(shared: Supervisor, spec: Spec): IdLease {
  return shared.ids.acquire(idRequest(spec));
}

/** As `IdRanges.returning`. */
export function idsReturning(shared: Supervisor, spec: Spec): Promise<void> | undefined {
  return shared.ids.returning(idRequest(spec));
}

type Maps = Pick<IdLease, 'uidMappings' | 'gidMappings' | 'denySetgroups' | 'lateral'>;

/** What is known and decided of a spec whose sources and user were found. */
export interface Compiled extends Pick<Prepared, 'plan' | 'cgroup' | 'isolation' | 'facts'> {}

/** Compiles a spec with these ids. */
export function compile(
  shared: Pick<Supervisor, 'facts'>,
  spec: RunnableSpec,
  maps: Maps,
  input: Pick<LaunchInput, 'id' | 'fds' | 'lives' | 'hold'> & { opened: Map<string, number> },
): Compiled {
  const { opened } = input;
  const facts: Facts = {
    ...shared.facts,
    ...rootFacts(spec),
    uidMappings: maps.uidMappings,
    gidMappings: maps.gidMappings,
    denySetgroups: maps.denySetgroups,
  };
  mark(input.id, 'facts known');
  const paths = [...opened.keys()];
  const held = input.hold === undefined ? [] : [input.hold];
  const { privileged } = facts;
  const guarded = guardUid(spec, facts) !== 0;
  const nested = input.lives === true ? { nested: { rootUid: rootUid(facts), guarded } } : {};
  const { plan, cgroup } = compilePlan({
    spec,
    facts,
    fds: [...input.fds, ...opened.values(), ...held],
    namespaceSlot: (path) => input.fds.length + paths.indexOf(path),
    planCgroup: (builder) =>
      planCgroup(builder, spec, currentCgroups(), { id: input.id, privileged, ...nested }),
    ...filterOf(spec, facts),
    init: initOf(spec, input.lives === true),
    ...(held.length > 0 && { hold: input.fds.length + opened.size }),
  });
  const { lateral } = maps;
  const isolation = describeIsolation({
    spec,
    facts: shared.facts,
    lateral,
    limits: cgroup.enforced,
  });
  mark(input.id, 'plan made');
  return { plan, cgroup, isolation, facts };
}

/** Decides everything about a launch. Throws before anything is created. */
export function prepare(shared: Supervisor, input: LaunchInput): Prepared {
  const found = realSources(input.spec);
  checkSources(found);
  const user = lookUpUser(found);
  const spec: RunnableSpec =
    user === undefined ? found : { ...found, process: { ...found.process, user } };
  const lease = leaseFor(shared, spec);
  let opened = new Map<string, number>();
  try {
    opened = openNamespaces(spec);
    if (namespaceMode(spec.linux.namespaces, 'user') === 'new') checkIds(spec.process.user, lease);
    const compiled = compile(shared, spec, lease, { ...input, opened });
    const { plan } = compiled;
    const bytes = encodePlan(plan);
    if (tracing()) askForTrace(bytes);
    mark(input.id, 'plan encoded');
    return {
      ...compiled,
      bytes,
      fds: plan.fds,
      reads: readPaths(plan),
      serves: plan.flags === planFlag.serve,
      spec,
      lease,
      opened: [...opened.values()],
    };
  } catch (error) {
    for (const fd of opened.values()) closeSync(fd);
    lease.release();
    throw error;
  }
}
