import { constants } from 'node:fs';
import { join } from 'node:path';
import type { PlanBuilder } from '../plan/builder.js';
import { bytes, type Slot, type Step, type StepOf, slot } from '../plan/steps.js';
import type { SpecResources } from '../spec/types.js';
import { FsMagic } from '../sys/processConstants.js';
import { type ParentFacts, parentFacts } from './facts.js';
import { carriesCpuset, type Tree, type UnifiedTree } from './layout.js';
import { asked, controllers, type Setting, settingsFor } from './resources.js';
import { usageFiles } from './usage.js';

/** O_PATH, O_CLOEXEC: open(2); the same on x86_64 and aarch64. Node does not name them. */
const O_PATH = 0x200000;
const O_CLOEXEC = 0x80000;
/** RESOLVE_NO_SYMLINKS, which implies no magic links: openat2(2). */
const RESOLVE_NO_SYMLINKS = 0x04n;
/** An id that chown(2) leaves as it is. */
const unchanged = 0xffffffff;

/** Longest accounting file that is read; io.stat and its kin have a line for each device. */
const maxRead = 4096;

/** How a v2 cgroup is to be, whatever its limits are. */
export interface Shape {
  /** Written before the limits. */
  settings: readonly Setting[];
  /** It dies as a whole when it runs out of memory (`memory.oom.group`). */
  oomGroup: boolean;
}

/** No cgroups below it: nothing hides there, and rmdir always succeeds once it is empty. */
const leaf: Shape = { settings: [{ file: 'cgroup.max.descendants', data: '0' }], oomGroup: true };

/**
 * Makes a cgroup of the v2 tree: enables what its parent must give, sets its limits, opens it.
 * @param shape by default that of a leaf
 * @returns slot of the cgroup's directory
 */
export function planUnified(
  builder: PlanBuilder,
  tree: UnifiedTree,
  resources: SpecResources,
  shape = leaf,
): Slot {
  const { dir, parent, enable } = tree;
  if (enable.length > 0) builder.add('prepare', enabling(parent.dir, enable));
  const limits = treeSettings(tree, resources, parentFacts(tree.hierarchy, parent, parent.isRoot));
  const settings = [
    ...shape.settings,
    ...limits.filter(({ file }) => shape.oomGroup || file !== 'memory.oom.group'),
    ...Object.entries(resources.unified ?? {}).map(([file, data]) => ({ file, data })),
  ];
  const opened = builder.newSlot();
  builder.add(
    'prepare',
    directory(dir),
    ...settings.map((setting) => write(dir, setting)),
    open(opened, dir, O_PATH | constants.O_DIRECTORY),
    { op: 'verifyFs', slot: opened, magic: FsMagic.CGROUP2_SUPER_MAGIC },
  );
  return opened;
}

/** Limits of a cgroup that is there already, in either tree. */
export function limitSteps(tree: Tree, resources: SpecResources, unified: boolean): Step[] {
  const facts = parentFacts(tree.hierarchy, tree.parent, false);
  const files = unified ? Object.entries(resources.unified ?? {}) : [];
  const settings = [
    ...treeSettings(tree, resources, facts),
    ...files.map(([file, data]) => ({ file, data })),
  ];
  return settings.map((setting) => write(tree.dir, setting));
}

/** A leaf without limits of its own. @returns slot of its directory */
export function planLeaf(builder: PlanBuilder, dir: string): Slot {
  const opened = builder.newSlot();
  builder.add(
    'prepare',
    directory(dir),
    ...leaf.settings.map((setting) => write(dir, setting)),
    open(opened, dir, O_PATH | constants.O_DIRECTORY),
  );
  return opened;
}

/** Controllers for the children of a v2 cgroup. */
export function enabling(dir: string, names: readonly string[]): Step {
  const data = names.map((name) => `+${name}`).join(' ');
  return write(dir, { file: 'cgroup.subtree_control', data });
}

/**
 * Lets a container's root clone into a cgroup, or into one below it: for that the kernel asks for
 * write access to `cgroup.procs`, of the new cgroup and of what it has in common with the old.
 */
export function handOver(dir: string, uid: number): Step {
  return { op: 'chown', dir: slot.host, path: join(dir, 'cgroup.procs'), uid, gid: unchanged };
}

/**
 * The way into the cgroup for a child that is born in another's cgroup namespace: from there the
 * kernel shows no cgroup outside of it to clone3(2) (ENOENT, with nsdelegate). What has been opened
 * before that join goes on being judged by the namespace it was opened in.
 */
export function moveInto(builder: PlanBuilder, { dir }: Tree): void {
  const members = builder.newSlot();
  builder.add('prepare', open(members, join(dir, 'cgroup.procs'), constants.O_WRONLY));
  builder.add('child', ...enter(members));
}

/** The calling child itself, by a descriptor of a list of members. */
function enter(members: Slot): Step[] {
  return [
    { op: 'writeFd', slot: members, data: bytes('0') },
    { op: 'close', slot: members },
  ];
}

/** Makes a cgroup of a v1 tree; the child attaches itself to it. */
export function planV1(builder: PlanBuilder, tree: Tree, resources: SpecResources): void {
  const { dir, hierarchy, parent } = tree;
  const settings = treeSettings(tree, resources, parentFacts(hierarchy, parent, false));
  const tasks = builder.newSlot();
  builder.add(
    'prepare',
    directory(dir),
    ...settings.map((setting) => write(dir, setting)),
    // `tasks` and not `cgroup.procs`: that one waits for a grace period of 10 ms.
    open(tasks, join(dir, 'tasks'), constants.O_WRONLY),
    { op: 'verifyFs', slot: tasks, magic: FsMagic.CGROUP_SUPER_MAGIC },
  );
  builder.add('child', ...enter(tasks));
}

/** cgroup v1 has no memory.oom.group: the launcher kills all of them when one tree is out of it. */
export function watchOom(builder: PlanBuilder, tree: Tree, resources: SpecResources): void {
  const { limit = -1, disableOOMKiller } = resources.memory ?? {};
  if (tree.controllers.has('memory') && limit !== -1 && disableOOMKiller !== true) {
    builder.add('prepare', { op: 'watchOom', dir: slot.host, path: tree.dir });
  }
}

function treeSettings(tree: Tree, resources: SpecResources, facts: ParentFacts): Setting[] {
  const wanted = controllers.filter(
    (name) => tree.controllers.has(name) || (name === 'cpuset' && carriesCpuset(tree)),
  );
  return wanted.flatMap((name) => settingsFor(name, resources, facts));
}

/** The accounting files of a v2 cgroup. */
export function unifiedFiles({ dir, controllers: used, parent, enable }: UnifiedTree): string[] {
  const counted = (['memory', 'pids', 'io'] as const).filter(
    (name) => used.has(name) || parent.enabled.includes(name) || enable.includes(name),
  );
  const names = [...usageFiles.core, ...counted.flatMap((name) => usageFiles.v2[name])];
  return names.map((name) => join(dir, name));
}

/** Those of a v1 cgroup. The v2 tree counts CPU time, too, so cpuacct is read only without it. */
export function v1Files({ dir, hierarchy }: Tree, hasUnified: boolean): string[] {
  const counted = (['cpu', 'cpuacct', 'memory', 'pids', 'blkio'] as const).filter(
    (name) => hierarchy.controllers.includes(name) && !(name === 'cpuacct' && hasUnified),
  );
  return counted.flatMap((name) => usageFiles.v1[name]).map((name) => join(dir, name));
}

function directory(path: string): Step {
  // Never one that exists: it would be another container's.
  return { op: 'mkdir', dir: slot.host, path, mode: 0o755, existOk: 0 };
}

/** A write into a file of a cgroup. */
export function write(dir: string, { file, data }: Setting): StepOf<'write'> {
  return { op: 'write', dir: slot.host, path: join(dir, file), data: bytes(data) };
}

function open(into: Slot, path: string, flags: number): Step {
  const resolve = RESOLVE_NO_SYMLINKS;
  return {
    op: 'open',
    slot: into,
    dir: slot.host,
    path,
    flags: flags | O_CLOEXEC,
    resolve,
    mode: 0,
  };
}

/** Accounts, read before the cgroup is removed. */
export function read(path: string): Step {
  return { op: 'read', dir: slot.host, path, max: maxRead };
}

/** Directories as a `CgroupPlan` has them. */
export function pathsOf(
  unified: Pick<Tree, 'dir'> | undefined,
  v1: readonly Tree[],
): { unified?: string; v1: Record<string, string> } {
  const byName = v1.flatMap(({ hierarchy, dir }) =>
    hierarchy.controllers.map((name) => [name, dir] as const),
  );
  return {
    ...(unified === undefined ? {} : { unified: unified.dir }),
    v1: Object.fromEntries(byName),
  };
}

/** Fields of `linux.resources` that are limits, as a `CgroupPlan` names them. */
export function enforcedLimits(resources: SpecResources): string[] {
  return [
    ...controllers.flatMap((controller) => asked(resources, controller)),
    ...((resources.devices ?? []).length > 0 ? ['devices'] : []),
    ...Object.keys(resources.unified ?? {}).map((file) => `unified.${file}`),
  ];
}

/** The end of a cgroup; tried again for as long as it is busy. */
export function removal(path: string): Step {
  return { op: 'rmdir', dir: slot.host, path };
}
