import type { PlanBuilder } from '../plan/builder.js';
import { bytes, type StepOf } from '../plan/steps.js';
import { formatIdMap } from '../spec/idMap.js';
import { namespaceMode } from '../spec/namespaces.js';
import type { Spec } from '../spec/types.js';
import { Prctl } from '../sys/constants.js';
import type { Facts } from './facts.js';
import type { NamespacePlan } from './namespaces.js';

/**
 * What the launcher does while the child waits: the id maps and the out-of-memory score, both of
 * which the child could not write once it is non-dumpable.
 * @see user_namespaces(7) "Defining user and group ID mappings"
 */
export function planIdMaps(
  builder: PlanBuilder,
  spec: Spec,
  facts: Facts,
  plan: NamespacePlan,
): void {
  if (plan.fresh.has('user')) {
    if (facts.denySetgroups)
      builder.add('attend', {
        op: 'procWrite',
        file: 'self/setgroups',
        data: bytes('deny'),
        readBack: 0,
      });
    for (const [file, map] of [
      ['self/uid_map', facts.uidMappings],
      ['self/gid_map', facts.gidMappings],
    ] as const)
      builder.add('attend', { op: 'procWrite', file, data: bytes(formatIdMap(map)), readBack: 0 });
  }
  builder.add('attend', ...scoreSteps(spec));
}

function scoreSteps(spec: Spec): StepOf<'procWrite'>[] {
  const score = spec.process?.oomScoreAdj;
  if (score === undefined) return [];
  return [{ op: 'procWrite', file: 'self/oom_score_adj', data: bytes(String(score)), readBack: 0 }];
}

/**
 * The container's out-of-memory score for a child of the launcher that joins it; what its init forks
 * has it already. An ordinary user's writes its proc files only while it is dumpable, which it may be
 * until it is in the container.
 */
export function planJoinedScore(builder: PlanBuilder, spec: Spec, facts: Facts): void {
  const steps = scoreSteps(spec);
  if (steps.length === 0) return;
  const dumpable = (arg2: bigint) =>
    ({ op: 'prctl', option: Prctl.PR_SET_DUMPABLE, arg2, arg3: 0n }) as const;
  if (facts.privileged) builder.add('child', ...steps);
  else builder.add('child', dumpable(1n), ...steps, dumpable(0n));
}

/**
 * The user that our own processes in a container are to signals and to the scheduler: the last of its
 * ids, which no program has unless it is given it. 0 where there is one id only.
 */
export function reservedUid({ uidMappings }: Facts): number {
  return Math.max(...uidMappings.map(({ containerID, size }) => containerID + size - 1));
}

/**
 * The user that keeps our own processes from programs of the container's root, which may neither stop nor
 * end them then, nor what they fork before that becomes the program's user: kill(2) compares uids. 0
 * where the user namespace is not of the container's own.
 */
export function guardUid(spec: Spec, facts: Facts): number {
  return namespaceMode(spec.linux.namespaces, 'user') === 'new' ? reservedUid(facts) : 0;
}

/** From here on a container's init is out of the reach of the programs that it will start. */
export function planOutOfReach(builder: PlanBuilder, spec: Spec, facts: Facts): void {
  const uid = guardUid(spec, facts);
  if (uid === 0) return;
  builder.add('child', { op: 'setuidKeepCaps', uid, fsuid: 0 });
  planUndumpable(builder);
}

function planUndumpable(builder: PlanBuilder): void {
  builder.add('child', { op: 'prctl', option: Prctl.PR_SET_DUMPABLE, arg2: 0n, arg3: 0n });
}

/** The child becomes root of its user namespace; the uid change also makes it non-dumpable. */
export function planRootIdentity(builder: PlanBuilder, facts: Facts, plan: NamespacePlan): void {
  if (plan.fresh.has('user') || plan.joined.has('user')) {
    planRootGroups(builder, facts);
    builder.add('child', { op: 'setuid', uid: 0 });
  }
  planUndumpable(builder);
  builder.add('child', { op: 'newKeyring' });
}

/** The same for one that comes to a container in which programs run: never within their reach. */
export function planJoinedIdentity(builder: PlanBuilder, spec: Spec, facts: Facts): void {
  if (namespaceMode(spec.linux.namespaces, 'user') !== 'host') {
    planRootGroups(builder, facts);
    const uid = guardUid(spec, facts);
    builder.add(
      'child',
      uid === 0 ? { op: 'setuid', uid } : { op: 'setuidKeepCaps', uid, fsuid: 0 },
    );
  }
  planUndumpable(builder);
  builder.add('child', { op: 'newKeyring' });
}

function planRootGroups(builder: PlanBuilder, facts: Facts): void {
  if (!facts.denySetgroups) builder.add('child', { op: 'setgroups', ids: new Uint8Array() });
  builder.add('child', { op: 'setgid', gid: 0 });
}
