import { join } from 'node:path';
import { ContainerError, invalid } from '../errors.js';
import { PlanBuilder } from '../plan/builder.js';
import type { Step } from '../plan/steps.js';
import type { SpecResources } from '../spec/types.js';
import { checkResources } from './checkResources.js';
import type { Tree, UnifiedTree } from './layout.js';
import { initLeaf, type NestedCgroup, type OuterTree } from './nested.js';
import { controllersToEnable, type UnifiedParent, unifiedParent } from './place.js';
import type { CgroupPlan } from './plan.js';
import { asked, controllers, v1Name } from './resources.js';
import {
  enforcedLimits,
  handOver,
  limitSteps,
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
import { unsupported } from './unavailable.js';

/** What one program's cgroup is to be. */
export interface ExecOptions {
  /** Name of its cgroup: 1 to 64 letters, digits, _ or -; one at a time has it. */
  execId: string;
  /** Limits of its own, within the container's; by default none. */
  resources?: SpecResources | undefined;
  /** It is a child of the launcher and attaches itself before it joins the container. */
  joins?: boolean;
  /** Its limits come later (`planLaterLimits`), one on its CPU perhaps among them. */
  later?: boolean;
  /** Who clones into it; by default as `planCgroup` was told. */
  rootUid?: number | undefined;
}

/** Names that mean something else in a container's cgroup: v1 files have no dot. */
const taken = [initLeaf, 'tasks', 'notify_on_release', 'release_agent'];

/**
 * Appends what gives one program in a container that lives a cgroup of its own: in `prepare` the
 * directories and limits, in `child` the attach to v1 trees, in `teardown` its end, accounts and
 * removal; `intoCgroup` becomes its leaf, to be cloned into by the container's init. The cgroup
 * namespace is for a later child step. A v1 limit on memory brings a `watchOom`, which fires when
 * the container is out of memory, too.
 * @throws InvalidSpecError for values the kernel would refuse; UnsupportedError
 * (ERR_CGROUP_UNAVAILABLE) naming the controller that the container cannot hand on
 */
export function planExecCgroup(
  builder: PlanBuilder,
  nested: NestedCgroup,
  { execId, resources = {}, joins = false, later = false, rootUid = nested.rootUid }: ExecOptions,
): CgroupPlan {
  check(execId, resources);
  const outers = attachable(nested, joins);
  const { unified, v1 } = layOutExec(nested, execId, resources, outers, { joins, later });
  const files: string[] = [];
  if (unified !== undefined) {
    builder.intoCgroup = planUnified(builder, unified, resources);
    if (rootUid !== undefined) builder.add('prepare', handOver(unified.dir, rootUid));
    files.push(...unifiedFiles(unified));
    // What it has started outlives it, until it is killed or its container ends.
    const kill = write(unified.dir, { file: 'cgroup.kill', data: '1' });
    builder.add('teardown', { ...kill, op: 'writeOnKill' });
  }
  for (const tree of v1) {
    planV1(builder, tree, resources);
    watchOom(builder, tree, resources);
    files.push(...v1Files(tree, unified !== undefined));
  }
  const dirs = [...(unified === undefined ? [] : [unified.dir]), ...v1.map(({ dir }) => dir)];
  builder.add('teardown', ...files.map(read), ...dirs.map(removal));
  return {
    paths: pathsOf(unified, v1),
    unshareCgroupNs: true,
    usageFiles: files,
    enforced: enforcedLimits(resources),
  };
}

/**
 * The limits of a program whose cgroup was made without any (`planExecCgroup`), as steps that write
 * them into it.
 * @param made that cgroup
 * @returns undefined where they need what it has not
 * @throws as `planExecCgroup`
 */
export function planLaterLimits(
  nested: NestedCgroup,
  made: CgroupPlan,
  { execId, resources = {}, joins = false }: ExecOptions,
): { steps: Step[]; enforced: string[] } | undefined {
  if (Object.keys(resources).length === 0) return { steps: [], enforced: [] };
  check(execId, resources);
  const { unified, v1 } = layOutExec(nested, execId, resources, attachable(nested, joins), {
    joins,
  });
  const dirs = new Set(Object.values(made.paths.v1));
  if (unified !== undefined && unified.enable.length > 0) return undefined;
  if (v1.some(({ dir }) => !dirs.has(dir))) return undefined;
  const builder = new PlanBuilder();
  if (unified !== undefined) builder.add('prepare', ...limitSteps(unified, resources, true));
  for (const tree of v1) {
    builder.add('prepare', ...limitSteps(tree, resources, false));
    watchOom(builder, tree, resources);
  }
  return { steps: builder.prepare, enforced: enforcedLimits(resources) };
}

function check(execId: string, resources: SpecResources): void {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(execId) || taken.includes(execId)) {
    throw invalid('execId', `1 to 64 letters, digits, _ or -, and none of ${taken}`, execId);
  }
  checkResources(resources);
  if ((resources.devices ?? []).length > 0) {
    throw invalid('linux.resources.devices', 'nothing: the container’s own rules hold for all');
  }
}

function layOutExec(
  nested: NestedCgroup,
  name: string,
  resources: SpecResources,
  outers: readonly OuterTree[],
  { joins, later = false }: Pick<ExecOptions, 'joins' | 'later'>,
): { unified?: UnifiedTree; v1: Tree[] } {
  const v1 = new Map<OuterTree, Tree>();
  const onUnified: string[] = [];
  for (const outer of outers) {
    const perhaps = later && nested.limited && outer.hierarchy.controllers.includes('cpu');
    // A child of the launcher is in none of them by birth: all the container's limits are to hold.
    if (perhaps || joins === true || counts(outer, nested)) v1.set(outer, treeBelow(outer, name));
  }
  for (const controller of controllers) {
    const fields = asked(resources, controller);
    if (fields.length === 0) continue;
    const file = v1Name(controller);
    const outer = outers.find(({ hierarchy }) => hierarchy.controllers.includes(file));
    if (!nested.limited) throw cannot(controller, fields);
    if (outer === undefined) onUnified.push(controller);
    else {
      const tree = v1.get(outer) ?? treeBelow(outer, name);
      v1.set(outer, tree);
      tree.controllers.add(controller);
    }
  }
  for (const file of Object.keys(resources.unified ?? {})) {
    const [controller = file] = file.split('.');
    if (!nested.limited || nested.unified === undefined) throw cannot(controller, [file]);
    if (controller !== 'cgroup' && !onUnified.includes(controller)) onUnified.push(controller);
  }
  const unified = unifiedBelow(nested, name, onUnified, resources);
  return { ...(unified && { unified }), v1: [...v1.values()] };
}

/**
 * The v1 trees that a program can attach itself to. The kernel asks whether who opened `tasks` is
 * root or the very user that moves (cgroup1_tasks_write; since 5.16 by the descriptor).
 */
function attachable(
  { v1, privileged, rootUid, guarded = false }: NestedCgroup,
  joins: boolean,
): readonly OuterTree[] {
  return privileged || joins || (rootUid === undefined && !guarded) ? v1 : [];
}

/**
 * Whether only a child of the launcher can be in all of the container's trees: an ordinary user's on
 * v1, where the container's own init is another user than who owns the cgroups.
 */
export function mustJoin(nested: NestedCgroup): boolean {
  return attachable(nested, false).length < nested.v1.length;
}

/** Whether a v1 tree is used for its accounts alone. */
function counts({ hierarchy }: OuterTree, nested: NestedCgroup): boolean {
  const has = (name: string) => hierarchy.controllers.includes(name);
  if (has('cpuacct') && nested.unified === undefined) return true;
  return nested.limited && (has('memory') || has('pids'));
}

function treeBelow({ hierarchy, path, dir }: OuterTree, name: string): Tree {
  return { hierarchy, parent: { path, dir }, dir: join(dir, name), controllers: new Set() };
}

function unifiedBelow(
  { unified }: NestedCgroup,
  name: string,
  needed: readonly string[],
  resources: SpecResources,
): UnifiedTree | undefined {
  if (unified === undefined) {
    for (const controller of needed) throw cannot(controller, fieldsOf(controller, resources));
    return undefined;
  }
  const { enabled, ...outer } = unified;
  let parent: UnifiedParent = { ...outer, isRoot: false, controllers: enabled, enabled };
  const missing = needed.find((controller) => !enabled.includes(controller));
  if (missing !== undefined) parent = lookedUp(outer, needed, resources);
  // With memory at all it is one cgroup to the OOM killer (memory.oom.group).
  const used = [...needed, ...(enabled.includes('memory') ? ['memory'] : [])];
  return {
    ...treeBelow(outer, name),
    parent,
    controllers: new Set(controllers.filter((controller) => used.includes(controller))),
    enable: controllersToEnable(parent, needed),
  };
}

/** What the container's cgroup has by now: limits may have been added to it since its start. */
function lookedUp(
  outer: OuterTree,
  needed: readonly string[],
  resources: SpecResources,
): UnifiedParent {
  const parent = unifiedParent(outer.hierarchy, outer.path);
  if (parent instanceof ContainerError) throw parent;
  const absent = needed.find((controller) => !parent.controllers.includes(controller));
  if (absent === undefined) return parent;
  throw cannot(absent, fieldsOf(absent, resources));
}

/** The limits that ask for a controller, which may be one that only files by name know. */
function fieldsOf(controller: string, resources: SpecResources): string[] {
  const known = controllers.find((name) => name === controller);
  const files = Object.keys(resources.unified ?? {});
  return [
    ...(known === undefined ? [] : asked(resources, known)),
    ...files.filter((file) => file.startsWith(`${controller}.`)),
  ];
}

function cannot(controller: string, fields: readonly string[]): ContainerError {
  const what = fields.length === 0 ? 'it' : fields.join(', ');
  const message = `controller ${controller}: the container’s own cgroup cannot hand it on, so ${what} cannot be enforced for one program`;
  return unsupported(message, {
    option: 'linux.resources',
    hint: 'give the container a limit of that kind when it is created, or leave this one out',
  });
}
