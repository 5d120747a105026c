import { closeSync } from 'node:fs';
import { type CgroupPlan, currentCgroups, planCgroup } from './cgroups/index.js';
import { orScarcity } from './errors.js';
import { type Follow, follow, type ReadPaths, type Running, readPaths } from './follow.js';
import { awaitSources } from './host/awaitSources.js';
import { checkIds } from './host/checkIds.js';
import { checkSources } from './host/checkSources.js';
import type { IdLease } from './host/idRanges.js';
import { openNamespaces } from './host/openNamespaces.js';
import { realSources } from './host/realSources.js';
import { rootFacts } from './host/rootFacts.js';
import { lookUpUser } from './host/userLookup.js';
import { describeIsolation, type Isolation } from './isolation.js';
import { encodePlan } from './plan/encode.js';
import { type Plan, planFlag } from './plan/steps.js';
import type { Facts } from './policy/facts.js';
import { compilePlan, type PlanInput } from './policy/order.js';
import { compileSeccomp } from './seccomp/compile.js';
import { annotation } from './spec/annotations.js';
import { namespaceMode } from './spec/namespaces.js';
import type { Spec, SpecProcess } from './spec/types.js';
import { type Supervisor, supervisor } from './supervisor.js';

/** A spec that says what to run. */
export type RunnableSpec = Spec & { process: SpecProcess };

/** A container from its launch to its end. */
export interface Launched extends Running {
  readonly isolation: Isolation;
  readonly cgroup: CgroupPlan;
  /** What further programs in it are made from. */
  readonly inside: Inside;
}

/** What a further program in a container is made from. */
export interface Inside {
  readonly supervisor: Pick<Supervisor, 'facts' | 'launcher'>;
  /** As it was launched: sources and users found. */
  readonly spec: RunnableSpec;
  readonly facts: Facts;
  /** Its init takes programs. */
  readonly serves: boolean;
  /** The accounts that are read at its end. */
  readonly reads: ReadPaths;
}

/** What a launch needs beside the spec. */
export interface LaunchInput {
  id: string;
  spec: RunnableSpec;
  /** Guest ends of stdin, stdout, stderr; empty for a terminal. */
  fds: readonly number[];
  /** It lives on: its init, if it has one, takes further programs, each in a cgroup below its own. */
  lives?: boolean;
  /** Read end of a pipe that the program waits on before it starts. */
  hold?: number;
  onCreated?: Follow['onCreated'];
  /** The plan has left: the guest ends may be closed. */
  onSent?: () => void;
  /** The master side of the program's terminal. */
  onPty?: (fd: number) => void;
  /** Its own, for a container that is to be detached. Default: this environment's. */
  supervisor?: Supervisor;
}

/** A compiled launch: everything decided, nothing created but the id lease. */
interface Prepared {
  plan: Plan;
  bytes: Uint8Array;
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
export function rootUid({ uidMappings }: Facts): number | undefined {
  const id = uidMappings.find(({ containerID }) => containerID === 0)?.hostID;
  return id === 0 ? undefined : id;
}

/** The compiled seccomp filter of a spec; nothing where it has none. */
export function filterOf(spec: Spec, facts: Facts): Pick<PlanInput, 'filter'> {
  const { seccomp } = spec.linux;
  if (seccomp === undefined) return {};
  const { filter, flags } = compileSeccomp(seccomp, { arch: facts.arch });
  return { filter: { program: filter, flags } };
}

/** Decides everything about a launch. Throws before anything is created. */
function prepare(shared: Supervisor, input: LaunchInput): Prepared {
  const found = realSources(input.spec);
  const user = lookUpUser(found);
  const spec: RunnableSpec =
    user === undefined ? found : { ...found, process: { ...found.process, user } };
  checkSources(spec);
  const pool = spec.annotations?.[annotation.idPool];
  const lease = shared.ids.acquire({
    shareHostDirs: sharesHostDirs(spec),
    uidMappings: spec.linux.uidMappings,
    gidMappings: spec.linux.gidMappings,
    pool: pool === undefined ? undefined : JSON.parse(pool),
  });
  let opened = new Map<string, number>();
  try {
    opened = openNamespaces(spec);
    if (namespaceMode(spec.linux.namespaces, 'user') === 'new') checkIds(spec.process.user, lease);
    const facts: Facts = {
      ...shared.facts,
      ...rootFacts(spec),
      uidMappings: lease.uidMappings,
      gidMappings: lease.gidMappings,
      denySetgroups: lease.denySetgroups,
    };
    const paths = [...opened.keys()];
    const held = input.hold === undefined ? [] : [input.hold];
    const { privileged } = facts;
    const nested = input.lives === true ? { nested: { rootUid: rootUid(facts) } } : {};
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
    const isolation = describeIsolation({
      spec,
      facts: shared.facts,
      lateral: lease.lateral,
      limits: cgroup.enforced,
    });
    const bytes = encodePlan(plan);
    return { plan, bytes, cgroup, isolation, spec, facts, lease, opened: [...opened.values()] };
  } catch (error) {
    for (const fd of opened.values()) closeSync(fd);
    lease.release();
    throw error;
  }
}

/**
 * The story of a launch: decide, encode, hand over, and report. When it rejects, nothing is left.
 * @throws ContainerError and its kinds; a program that fails is not an error
 */
export async function launch(input: LaunchInput): Promise<Launched> {
  try {
    return await carryOut(input);
  } catch (error) {
    throw orScarcity(error);
  }
}

async function carryOut(input: LaunchInput): Promise<Launched> {
  const shared = input.supervisor ?? (await supervisor());
  const { launcher } = shared;
  await awaitSources(input.spec);
  const prepared = prepare(shared, input);
  const { plan, bytes, lease, cgroup, opened } = prepared;
  try {
    const running = await follow(
      launcher,
      {
        name: input.id,
        plan,
        opened,
        onSent: input.onSent,
        onPty: input.onPty,
        onCreated: input.onCreated,
        onGone: lease.release,
      },
      (events) => launcher.launch(bytes, plan.fds, events, input.supervisor !== undefined),
    );
    const { isolation, spec, facts } = prepared;
    const serves = plan.flags === planFlag.serve;
    const inside = { supervisor: shared, spec, facts, serves, reads: readPaths(plan) };
    return { ...running, isolation, cgroup, inside };
  } catch (error) {
    // Nothing runs with these ids: either nothing was started, or it has been reaped.
    lease.release();
    throw error;
  } finally {
    for (const fd of opened.splice(0)) closeSync(fd);
  }
}

/** The plan that `launch` would hand over; nothing is created, the ids are given back. */
export async function planOf(input: Omit<LaunchInput, 'fds'>): Promise<Plan> {
  const shared = await supervisor();
  const fds = input.spec.process.terminal === true ? [] : [0, 1, 2];
  const prepared = prepare(shared, { ...input, fds });
  for (const fd of prepared.opened) closeSync(fd);
  prepared.lease.release();
  return prepared.plan;
}
