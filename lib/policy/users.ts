import type { PlanBuilder } from '../plan/builder.js';
import { bytes } from '../plan/steps.js';
import { formatIdMap } from '../spec/idMap.js';
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
  const score = spec.process?.oomScoreAdj;
  if (score !== undefined)
    builder.add('attend', {
      op: 'procWrite',
      file: 'self/oom_score_adj',
      data: bytes(String(score)),
      readBack: 0,
    });
}

/** The child becomes root of its user namespace; the uid change also makes it non-dumpable. */
export function planRootIdentity(builder: PlanBuilder, facts: Facts, plan: NamespacePlan): void {
  if (plan.fresh.has('user') || plan.joined.has('user')) {
    if (!facts.denySetgroups) builder.add('child', { op: 'setgroups', ids: new Uint8Array() });
    builder.add('child', { op: 'setgid', gid: 0 }, { op: 'setuid', uid: 0 });
  }
  builder.add(
    'child',
    { op: 'prctl', option: Prctl.PR_SET_DUMPABLE, arg2: 0n, arg3: 0n },
    { op: 'newKeyring' },
  );
}
