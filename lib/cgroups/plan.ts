import { join } from 'node:path';
import type { PlanBuilder } from '../plan/builder.js';
import { type Slot, slot } from '../plan/steps.js';
import { annotation } from '../spec/annotations.js';
import type { IoRates } from '../spec/limits.js';
import { namespaceMode } from '../spec/namespaces.js';
import type { Spec, SpecResources } from '../spec/types.js';
import { checkResources } from './checkResources.js';
import type { CgroupHost } from './detect.js';
import { deviceProgram } from './deviceProgram.js';
import { devicePolicy, deviceWrites } from './deviceRules.js';
import { addIoLimits } from './ioSettings.js';
import { type Layout, layOut, type UnifiedTree } from './layout.js';
import { describeNested, initLeaf, type NestedCgroup, planOuter } from './nested.js';
import { chooseCgroup } from './place.js';
import {
  enforcedLimits,
  moveInto,
  pathsOf,
  planUnified,
  planV1,
  read,
  removal,
  unifiedFiles,
  v1Files,
  watchOom,
  write,
} from './treeSteps.js';
import type { UsageSource } from './usage.js';

/** What `planCgroup` has decided. */
export interface CgroupPlan extends UsageSource {
  /** Directories of the container's cgroups; v1 by controller. */
  paths: { unified?: string; v1: Readonly<Record<string, string>> };
  /**
   * The cgroup namespace must be made by a child step, after the attach to v1 trees, because its
   * root is where the process is at that moment. Otherwise CLONE_NEWCGROUP belongs to the clone:
   * the kernel roots it in the cgroup that the child is born in (cgroup_post_fork, 5.7).
   */
  unshareCgroupNs: boolean;
  /** Fields of `linux.resources` that are enforced, such as `memory.limit`. */
  enforced: string[];
  /** With option `nested`: what `planExecCgroup` has to know of these cgroups. */
  nested?: NestedCgroup;
}

/** What `planCgroup` is told besides the spec. */
export interface CgroupOptions {
  id: string;
  /** We are root on the host. */
  privileged: boolean;
  /**
   * The container lives: its programs get cgroups of their own below its cgroup, and on v2 its init
   * sits in the leaf `init`. `rootUid` is the container's root as the launcher names it, where that
   * is not the launcher's own user. `guarded`: its init, which its programs begin as, is another user
   * than either. Default `false`.
   */
  nested?: { rootUid: number | undefined; guarded?: boolean };
}

/**
 * Appends what gives a container its cgroups: in `prepare` the directories and limits, in `child`
 * the attach to v1 trees (call it before anything else adds child steps), in `teardown` the end of
 * every process, the reading of accounts and the removal. With annotation `limits: 'none'` it
 * ignores `linux.resources`, and uses the v2 tree for tracking only where it can.
 *
 * With `nested`, a container out of memory does not die as a whole: of v2 that program does
 * which has the victim, on v1 the victim alone. A cgroup namespace to join is for each program.
 * @throws InvalidSpecError for values the kernel would refuse; UnsupportedError, PermissionError
 * (ERR_CGROUP_UNAVAILABLE) for what cannot be enforced; NotFoundError (ERR_CGROUP_NOT_FOUND) for a
 * missing `cgroupParent`; StateError (ERR_CONTAINER_EXISTS) when the id is taken
 */
export function planCgroup(
  builder: PlanBuilder,
  spec: Spec,
  host: CgroupHost,
  options: CgroupOptions,
): CgroupPlan {
  const notes = spec.annotations ?? {};
  const limited = notes[annotation.limits] !== 'none';
  const resources = resourcesOf(spec);
  checkResources(resources);
  const layout = layOut(host, {
    choice: chooseCgroup(options.id, notes[annotation.cgroupParent], spec.linux.cgroupsPath),
    resources,
    cpuTime: notes[annotation.cpuTime] !== undefined,
    privileged: options.privileged,
    nested: options.nested !== undefined && (limited ? 'limits' : 'tracking'),
  });
  const { unified, v1 } = layout;
  const files: string[] = [];
  let inUnified: Slot = slot.none;
  if (unified !== undefined) {
    if (options.nested !== undefined) {
      inUnified = planOuter(builder, unified, resources, { limited, ...options.nested });
    } else inUnified = planSingle(builder, unified, spec, resources);
    files.push(...unifiedFiles(unified));
    builder.add('teardown', write(unified.dir, { file: 'cgroup.kill', data: '1' }));
  }
  for (const tree of v1) {
    planV1(builder, tree, resources);
    if (options.nested === undefined) watchOom(builder, tree, resources);
    files.push(...v1Files(tree, unified !== undefined));
  }
  planDevices(builder, layout, resources, inUnified);
  // A process that v1 has frozen does not die of SIGKILL before it is thawed.
  if (layout.freezer !== undefined) {
    builder.add('teardown', write(layout.freezer.dir, { file: 'freezer.state', data: 'THAWED' }));
  }
  const dirs = [...(unified === undefined ? [] : [unified.dir]), ...v1.map(({ dir }) => dir)];
  if (unified !== undefined && options.nested !== undefined) {
    dirs.unshift(join(unified.dir, initLeaf));
  }
  builder.add('teardown', ...files.map(read), ...dirs.map(removal));
  return {
    paths: pathsOf(unified, v1),
    unshareCgroupNs: v1.length > 0 || options.nested !== undefined,
    usageFiles: files,
    enforced: enforcedLimits(resources),
    ...(options.nested && {
      nested: describeNested(layout, {
        limited,
        privileged: options.privileged,
        ...options.nested,
      }),
    }),
  };
}

/** The cgroup that the one program of a container is born in, or moves into. */
function planSingle(
  builder: PlanBuilder,
  tree: UnifiedTree,
  spec: Spec,
  resources: SpecResources,
): Slot {
  const opened = planUnified(builder, tree, resources);
  if (namespaceMode(spec.linux.namespaces, 'cgroup') === 'join') moveInto(builder, tree);
  else builder.intoCgroup = opened;
  return opened;
}

function resourcesOf(spec: Spec): SpecResources {
  const notes = spec.annotations ?? {};
  if (notes[annotation.limits] === 'none') return {};
  const resources = spec.linux.resources ?? {};
  const io = notes[annotation.io];
  return io === undefined ? resources : addIoLimits(resources, JSON.parse(io) as IoRates[]);
}

/** v2 has no device files: rules are an eBPF program that goes away with its cgroup. */
function planDevices(
  builder: PlanBuilder,
  layout: Layout,
  resources: SpecResources,
  inUnified: Slot,
): void {
  const { devices } = layout;
  if (devices === undefined) return;
  const policy = devicePolicy(resources.devices ?? []);
  if (devices.hierarchy.version === 2) {
    const program = deviceProgram(policy);
    builder.add('prepare', { op: 'bpfDevice', cgroup: inUnified, program });
    return;
  }
  const writes = deviceWrites(policy).map((setting) => write(devices.dir, setting));
  builder.add('prepare', ...writes);
}
