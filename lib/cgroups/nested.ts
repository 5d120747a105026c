import { join } from 'node:path';
import type { PlanBuilder } from '../plan/builder.js';
import type { Slot } from '../plan/steps.js';
import type { SpecResources } from '../spec/types.js';
import type { Hierarchy } from './detect.js';
import type { Layout, Tree, UnifiedTree } from './layout.js';
import type { Parent } from './place.js';
import { enabling, handOver, planLeaf, planUnified, type Shape } from './treeSteps.js';

/** The leaf of a container's v2 cgroup that its init sits in. */
export const initLeaf = 'init';

/** One of a container's cgroups: the parent of its programs' own in that tree. */
export interface OuterTree extends Parent {
  hierarchy: Hierarchy;
}

/**
 * The cgroups of a container that lives, for those of the programs that are started in it later.
 * Plain data: it can be kept as JSON.
 */
export interface NestedCgroup {
  /** False with limits: 'none': the programs' cgroups track and count, and limit nothing. */
  limited: boolean;
  privileged: boolean;
  /** Who clones into the programs' cgroups: see `CgroupOptions.nested`. */
  rootUid?: number;
  /** See `CgroupOptions.nested`. */
  guarded?: boolean;
  unified?: OuterTree & {
    /** Controllers that the programs' cgroups have from the start. */
    enabled: readonly string[];
  };
  v1: readonly OuterTree[];
}

/** Controllers that a program's cgroup is given where its container's cgroup has them. */
const inherited = ['memory', 'pids', 'cpu', 'io', 'cpuset'];

/** So many programs at once; each has one cgroup, and none below it. */
const outer: Shape = {
  settings: [
    { file: 'cgroup.max.descendants', data: '4096' },
    { file: 'cgroup.max.depth', data: '1' },
  ],
  oomGroup: false,
};

interface Nesting {
  limited: boolean;
  rootUid: number | undefined;
  guarded?: boolean | undefined;
}

/**
 * The v2 cgroup of a container that lives. It has the limits and no processes ("no internal
 * processes", cgroup-v2.rst): its init is born in the leaf `init`, and goes on seeing the cgroups
 * beside it, so it is in no cgroup namespace of its own.
 * @returns slot of the cgroup's directory
 */
export function planOuter(
  builder: PlanBuilder,
  tree: UnifiedTree,
  resources: SpecResources,
  { limited, rootUid }: Nesting,
): Slot {
  const opened = planUnified(builder, tree, resources, outer);
  if (rootUid !== undefined) builder.add('prepare', handOver(tree.dir, rootUid));
  const enabled = controllersBelow(tree, limited);
  if (enabled.length > 0) builder.add('prepare', enabling(tree.dir, enabled));
  builder.intoCgroup = planLeaf(builder, join(tree.dir, initLeaf));
  return opened;
}

function controllersBelow({ parent, enable }: UnifiedTree, limited: boolean): string[] {
  if (!limited) return [];
  return inherited.filter((name) => parent.enabled.includes(name) || enable.includes(name));
}

/** What `planExecCgroup` has to know. */
export function describeNested(
  { unified, v1 }: Layout,
  { limited, rootUid, guarded, privileged }: Nesting & { privileged: boolean },
): NestedCgroup {
  return {
    limited,
    privileged,
    ...(rootUid === undefined ? {} : { rootUid }),
    ...(guarded === true && { guarded }),
    ...(unified && {
      unified: { ...outerTree(unified), enabled: controllersBelow(unified, limited) },
    }),
    v1: v1.map(outerTree),
  };
}

function outerTree({ hierarchy, parent, dir }: Tree): OuterTree {
  const name = dir.slice(dir.lastIndexOf('/') + 1);
  return { hierarchy, path: join(parent.path, name), dir };
}
