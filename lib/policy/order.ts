import type { CgroupPlan } from '../cgroups/index.js';
import { PlanBuilder } from '../plan/builder.js';
import { type Plan, type Slot, wall } from '../plan/steps.js';
import type { Spec, SpecProcess } from '../spec/types.js';
import { Prctl } from '../sys/constants.js';
import { killMask } from './capabilities.js';
import { planExec, planLimits, planStdio } from './command.js';
import type { Facts } from './facts.js';
import { planLandlockRestrict, planLandlockRules } from './landlock.js';
import { planMasks, planMounts, planRoot } from './mounts/index.js';
import {
  checkEnds,
  checkShown,
  planCgroupNamespace,
  planClone,
  planJoins,
  planNames,
  planTime,
  planUserJoin,
  sortNamespaces,
} from './namespaces.js';
import {
  filterCapabilities,
  planFilter,
  planIdentity,
  planLabel,
  planStatus,
} from './privileges.js';
import { planIdMaps, planRootIdentity } from './users.js';

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
  /** Our init stays as pid 1. */
  init: boolean;
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
  const { process } = spec;
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
  planUserJoin(b, namespaces);
  // After the attach to v1 cgroups: the namespace's root is where the child is then.
  planCgroupNamespace(b, namespaces, !cgroup.unshareCgroupNs);
  // While its proc files are still its own: the uid change below takes them away.
  planTime(b, spec, namespaces);
  planRootIdentity(b, facts, namespaces);

  const root = planRoot(b, spec, facts);
  const { devpts } = planMounts(b, spec, facts, root);
  // Through the launcher's proc, and before /proc/sys turns read-only.
  planNames(b, spec, facts, namespaces);
  // The last mounts: they cover what the ones before have brought.
  planMasks(b, spec, facts, root);
  if (root === undefined) b.waived |= wall.pivot;
  else b.add('child', { op: 'pivotRoot', root });
  // After the mounts, which Landlock forbids to change, and still as the container's root: the
  // program's own user may not be able to reach every place that is granted to it.
  const ruleset = planLandlockRules(b, spec, facts);

  if (init) {
    // Outside a pid namespace of its own, orphans come to our init only if it asks for them.
    if (!namespaces.fresh.has('pid'))
      b.add('child', { op: 'prctl', option: Prctl.PR_SET_CHILD_SUBREAPER, arg2: 1n, arg3: 0n });
    b.add('child', { op: 'fork', role: 0, keepCaps: killMask });
  }
  // From here on only the program's own process.
  b.add('child', { op: 'setsid' });
  const status = planStatus(b);
  planLabel(b, process, facts);
  planIdentity(b, process, facts, filterCapabilities(process, input.filter !== undefined));
  // As the program's own user, so that its terminal and working directory are what it may have.
  planStdio(b, process, devpts);
  b.add('child', { op: 'chdir', path: process.cwd });
  if (ruleset !== undefined) planLandlockRestrict(b, ruleset);
  // After the last descriptor: RLIMIT_NOFILE may be lower than what the launch itself has open.
  planLimits(b, process, facts);
  // Last, so that it must allow as little as possible.
  planFilter(b, spec, process, facts, input.filter, status);
  planExec(b, process);
  return { plan: b.build(), cgroup };
}
