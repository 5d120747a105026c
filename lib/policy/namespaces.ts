import { invalid, UnsupportedError } from '../errors.js';
import type { PlanBuilder } from '../plan/builder.js';
import { bytes, forkRole, type Slot, slot } from '../plan/steps.js';
import { namespaceMode, namespaceOption } from '../spec/namespaces.js';
import { rootKind } from '../spec/rootKind.js';
import type { NamespaceType, Spec, SpecNamespace } from '../spec/types.js';
import { CloneFlags } from '../sys/constants.js';
import type { Facts } from './facts.js';

/** `CLONE_NEW*` of each namespace type (namespaces(7)). */
export const cloneFlag: Readonly<Record<NamespaceType, number>> = {
  user: CloneFlags.CLONE_NEWUSER,
  pid: CloneFlags.CLONE_NEWPID,
  mount: CloneFlags.CLONE_NEWNS,
  network: CloneFlags.CLONE_NEWNET,
  ipc: CloneFlags.CLONE_NEWIPC,
  uts: CloneFlags.CLONE_NEWUTS,
  cgroup: CloneFlags.CLONE_NEWCGROUP,
  time: CloneFlags.CLONE_NEWTIME,
};

/** Which of the plan's namespaces are new, joined or the host's. */
export interface NamespacePlan {
  fresh: ReadonlySet<NamespaceType>;
  /** Slot of the descriptor of a namespace to join. */
  joined: ReadonlyMap<NamespaceType, Slot>;
}

/**
 * Sorts the spec's namespaces. A joined one is a descriptor that travels with the plan; `fdOf`
 * says which slot it has.
 */
export function sortNamespaces(
  namespaces: readonly SpecNamespace[],
  fdOf: (path: string) => Slot,
): NamespacePlan {
  const fresh = new Set<NamespaceType>();
  const joined = new Map<NamespaceType, Slot>();
  for (const { type, path } of namespaces) {
    if (path === undefined) fresh.add(type);
    else joined.set(type, fdOf(path));
  }
  if (joined.has('user') && fresh.size === 0) {
    throw invalid('namespaces.user', 'at least one new namespace beside a joined user namespace');
  }
  return { fresh, joined };
}

/** Whether the container is shown a tree of cgroups, which needs a namespace when it is mounted. */
export function mountsCgroups({ mounts = [] }: Spec): boolean {
  return mounts.some(({ type }) => type === 'cgroup' || type === 'cgroup2');
}

/** File systems that show a namespace. Whoever mounts one must have rights over that namespace. */
const shownBy: Readonly<Record<string, NamespaceType>> = {
  proc: 'pid',
  sysfs: 'network',
  mqueue: 'ipc',
  cgroup: 'cgroup',
  cgroup2: 'cgroup',
};

/**
 * A new user namespace has no rights over namespaces that are older than it is.
 * @throws InvalidSpecError for a mount that the kernel would refuse
 */
export function checkShown(spec: Spec): void {
  const { namespaces } = spec.linux;
  if (rootKind(spec) === 'joined' || namespaceMode(namespaces, 'user') !== 'new') return;
  for (const { type = 'none', destination } of spec.mounts ?? []) {
    const shown = Object.hasOwn(shownBy, type) ? shownBy[type] : undefined;
    if (shown === undefined || namespaceMode(namespaces, shown) === 'new') continue;
    throw invalid(
      namespaceOption(shown),
      `'new', or its user namespace joined as well, beside a mount of ${type} on ${destination}`,
    );
  }
}

/**
 * A new pid namespace ends with its first process; elsewhere only `cgroup.kill` reaches everything
 * that a program has started.
 * @param killable the container has a cgroup v2
 * @throws UnsupportedError `ERR_CGROUP_UNAVAILABLE` where processes could outlive their container
 */
export function checkEnds(plan: NamespacePlan, killable: boolean): void {
  if (killable || plan.fresh.has('pid')) return;
  const option = namespaceOption('pid');
  throw new UnsupportedError(
    'ERR_CGROUP_UNAVAILABLE',
    `${option}: expected 'new' without a cgroup v2, as nothing else would end all its processes`,
    {
      phase: 'cgroup',
      option,
      hint: 'leave it new, or have a cgroup v2 delegated (systemd-run --user --scope -p Delegate=yes …)',
    },
  );
}

/**
 * Joins that the launcher makes before the clone and takes back after it: the child is born
 * inside. A joined user namespace is entered by the child, because nobody comes back from one.
 */
export function planJoins(builder: PlanBuilder, plan: NamespacePlan): void {
  for (const [type, fd] of plan.joined) {
    if (type !== 'user') builder.add('prepare', { op: 'setns', slot: fd, type: cloneFlag[type] });
  }
}

/**
 * The clone's flags. The cgroup namespace is left to `planCgroupNamespace`, the time namespace to
 * `planTime`; with a joined user namespace the child makes all of them, so that it owns them.
 */
export function planClone(builder: PlanBuilder, plan: NamespacePlan, bornInCgroup: boolean): void {
  if (plan.joined.has('user')) return;
  for (const type of plan.fresh) {
    if (type === 'time' || (type === 'cgroup' && !bornInCgroup)) continue;
    builder.cloneFlags |= BigInt(cloneFlag[type]);
  }
}

/**
 * Entering a joined user namespace and making what is new inside it.
 * @param cgroupLater the cgroup namespace is made by each program
 */
export function planUserJoin(
  builder: PlanBuilder,
  plan: NamespacePlan,
  cgroupLater: boolean,
): void {
  const user = plan.joined.get('user');
  if (user === undefined) return;
  builder.add('child', { op: 'setns', slot: user, type: cloneFlag.user });
  let flags = 0;
  for (const type of plan.fresh) {
    if (type !== 'time' && !(type === 'cgroup' && cgroupLater)) flags |= cloneFlag[type];
  }
  builder.add('child', { op: 'unshare', flags });
  // unshare(CLONE_NEWPID) takes effect for children only.
  if (plan.fresh.has('pid'))
    builder.add('child', { op: 'fork', role: forkRole.middle, keepCaps: 0n });
}

/** A new time namespace: its offsets can be set only before the first process is in it. */
export function planTime(builder: PlanBuilder, spec: Spec, plan: NamespacePlan): void {
  if (!plan.fresh.has('time')) return;
  builder.add('child', { op: 'unshare', flags: cloneFlag.time });
  const lines = Object.entries(spec.linux.timeOffsets ?? {}).map(
    ([clock, offset]) => `${clock} ${offset.secs} ${offset.nanosecs ?? 0}\n`,
  );
  if (lines.length > 0) {
    const data = bytes(lines.join(''));
    builder.add('child', { op: 'procWrite', file: 'self/timens_offsets', data, readBack: 0 });
  }
  // The unshare is for children only; pid 1 enters, too, so that who joins by its pid gets it.
  const entered = builder.newSlot();
  const path = 'self/ns/time_for_children';
  builder.add(
    'child',
    { op: 'open', slot: entered, dir: slot.proc, path, flags: 0, resolve: 0n, mode: 0 },
    { op: 'setns', slot: entered, type: cloneFlag.time },
  );
}

/** The cgroup namespace after the child has moved into its v1 cgroups: its root is where it is. */
export function planCgroupNamespace(
  builder: PlanBuilder,
  plan: NamespacePlan,
  bornInCgroup: boolean,
): void {
  if (plan.fresh.has('cgroup') && !bornInCgroup && !plan.joined.has('user'))
    builder.add('child', { op: 'unshare', flags: cloneFlag.cgroup });
}

/**
 * What all processes of a container may have of inotify. It counts against the user who made the
 * container, too (ucounts, 128 instances by default): without a bound, one container could leave
 * none to the host's root.
 */
const inotifyBounds = { max_inotify_instances: '64', max_inotify_watches: '4096' } as const;

/**
 * Bounds, hostname, loopback and sysctls of the new namespaces.
 * @param ownProc the container's own, where nothing of its mounts is in the way
 */
export function planNames(
  builder: PlanBuilder,
  spec: Spec,
  facts: Facts,
  plan: NamespacePlan,
  ownProc: Slot | undefined,
): void {
  const covered = (spec.mounts ?? []).some(({ destination }) =>
    destination.startsWith('/proc/sys'),
  );
  const proc = covered || ownProc === undefined ? slot.proc : ownProc;
  if (plan.fresh.has('user') && facts.inotifyLimits === true) {
    for (const [name, value] of Object.entries(inotifyBounds)) {
      const file = `sys/user/${name}`;
      builder.add('child', { op: 'sysctl', proc, file, data: bytes(value) });
    }
  }
  if (plan.fresh.has('uts')) {
    if (spec.hostname !== undefined)
      builder.add('child', { op: 'sethostname', name: spec.hostname });
    if (spec.domainname !== undefined)
      builder.add('child', { op: 'setdomainname', name: spec.domainname });
  }
  if (plan.fresh.has('network')) builder.add('child', { op: 'linkUp', name: 'lo' });
  for (const [name, value] of Object.entries(spec.linux.sysctl ?? {})) {
    const file = `sys/${name.replaceAll('.', '/')}`;
    builder.add('child', { op: 'sysctl', proc, file, data: bytes(value) });
  }
}
