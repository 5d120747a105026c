import type { CgroupPlan } from '../cgroups/index.js';
import { PlanBuilder } from '../plan/builder.js';
import { forkRole, type Plan, planFlag, type Slot, wall } from '../plan/steps.js';
import type { Spec, SpecProcess } from '../spec/types.js';
import { CloneFlags, Prctl } from '../sys/constants.js';
import { killMask } from './capabilities.js';
import type { Facts } from './facts.js';
import { planLandlockRules } from './landlock.js';
import { planMasks, planMounts, planRoot } from './mounts/index.js';
import {
  checkEnds,
  checkShown,
  mountsCgroups,
  planCgroupNamespace,
  planClone,
  planJoins,
  planNames,
  planTime,
  planUserJoin,
  sortNamespaces,
} from './namespaces.js';
import { planProcess } from './process.js';
import { planIdMaps, planOutOfReach, planRootIdentity } from './users.js';

/** Everything a plan is made from; the same input gives the same plan. */
export interface PlanInput {
  spec: Spec & { process: SpecProcess };
  facts: Facts;
  /** Descriptors that travel: stdin, stdout, stderr first, unless the program has a terminal. */
  fds: readonly number[];
  /** Slot of the descriptor of a namespace that is joined, by the spec's path. */
  namespaceSlot: (path: string) => Slot;
  /** Appends the cgroup's steps (lib/cgroups). */
  planCgroup: (builder: PlanBuilder) => CgroupPlan;
  /** The compiled filter, absent for `unconfined`. */
  filter?: { program: Uint8Array; flags: number };
  /**
   * Who is pid 1: `'none'` the program itself, `'run'` our init for this one program, `'serve'` our
   * init, which takes further programs, beside the first; `'only'` the same without a first one.
   */
  init: 'none' | 'run' | 'serve' | 'only';
  /** Descriptor that a program waits on before its last walls, for OCI's `create`. */
  hold?: Slot;
}

/** The plan and what its makers promise about it. */
export interface CompiledPlan {
  plan: Plan;
  cgroup: CgroupPlan;
}

/**
 * The whole launch in its order. Lines may move only where no reason stands beside them.
 */
export function compilePlan(input: PlanInput): CompiledPlan {
  const { spec, facts, init } = input;
  const b = new PlanBuilder(input.fds);
  checkShown(spec);
  const namespaces = sortNamespaces(spec.linux.namespaces, input.namespaceSlot);

  // In its cgroup before it does anything, so that everything it does is charged and limited.
  const cgroup = input.planCgroup(b);
  checkEnds(namespaces, cgroup.paths.unified !== undefined);
  planJoins(b, namespaces);
  planClone(b, namespaces, !cgroup.unshareCgroupNs);
  // The launcher writes the maps while the child waits; nothing can be done without ids.
  planIdMaps(b, spec, facts, namespaces);
  b.add('child', { op: 'wait' });
  // An init that forks into cgroups beside its own has to go on seeing them (nsdelegate), so there
  // each program makes its own; unless the mounts of this child are to show a tree of cgroups.
  const later = cgroup.nested !== undefined && !mountsCgroups(spec);
  planUserJoin(b, namespaces, later);
  // After the attach to v1 cgroups: the namespace's root is where the child is then.
  planCgroupNamespace(b, namespaces, !cgroup.unshareCgroupNs || later);
  // While its proc files are still its own: the uid change below takes them away.
  planTime(b, spec, namespaces);
  planRootIdentity(b, facts, namespaces);

  const root = planRoot(b, spec, facts);
  const { devpts, proc } = planMounts(b, spec, facts, root);
  // Before /proc/sys turns read-only.
  planNames(b, spec, facts, namespaces, proc);
  // The last mounts: they cover what the ones before have brought.
  planMasks(b, spec, facts, root);
  if (root === undefined) b.waived |= wall.pivot;
  else b.add('child', { op: 'pivotRoot', root });
  // After the mounts, which Landlock forbids to change, and still as the container's root: the
  // program's own user may not be able to reach every place that is granted to it.
  const ruleset =
    init === 'only' ? undefined : planLandlockRules(b, spec, facts, cgroup.nested !== undefined);

  // Outside a pid namespace of its own, orphans come to our init only if it asks for them.
  if (init !== 'none' && !namespaces.fresh.has('pid'))
    b.add('child', { op: 'prctl', option: Prctl.PR_SET_CHILD_SUBREAPER, arg2: 1n, arg3: 0n });
  if (init === 'serve' || init === 'only') b.flags = planFlag.serve;
  // It lives beside programs of the container's root, and each further one begins as a fork of it.
  if (b.flags === planFlag.serve) planOutOfReach(b, spec, facts);
  if (init === 'only') {
    b.add('child', { op: 'serve' });
    return { plan: b.build(), cgroup };
  }
  if (init === 'run') b.add('child', { op: 'fork', role: forkRole.init, keepCaps: killMask });
  if (init === 'serve') b.add('child', { op: 'fork', role: forkRole.serve, keepCaps: 0n });
  // From here on only the program's own process.
  if (later && namespaces.fresh.has('cgroup'))
    b.add('child', { op: 'unshare', flags: CloneFlags.CLONE_NEWCGROUP });
  planProcess(b, { ...input, devpts, ruleset });
  return { plan: b.build(), cgroup };
}
