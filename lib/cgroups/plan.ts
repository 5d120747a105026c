import { constants } from 'node:fs';
import { join } from 'node:path';
import type { PlanBuilder } from '../plan/builder.js';
import { bytes, type Slot, type Step, slot } from '../plan/steps.js';
import { annotation } from '../spec/annotations.js';
import { namespaceMode } from '../spec/namespaces.js';
import type { Spec, SpecResources } from '../spec/types.js';
import { FsMagic } from '../sys/processConstants.js';
import { checkResources } from './checkResources.js';
import type { CgroupHost } from './detect.js';
import { deviceProgram } from './deviceProgram.js';
import { devicePolicy, deviceWrites } from './deviceRules.js';
import { type ParentFacts, parentFacts } from './facts.js';
import { addIoLimits } from './ioSettings.js';
import { carriesCpuset, type Layout, layOut, type Tree, type UnifiedTree } from './layout.js';
import { chooseCgroup } from './place.js';
import { asked, controllers, type Setting, settingsFor } from './resources.js';
import { type UsageSource, usageFiles } from './usage.js';

/** O_PATH, O_CLOEXEC: open(2); the same on x86_64 and aarch64. Node does not name them. */
const O_PATH = 0x200000;
const O_CLOEXEC = 0x80000;
/** RESOLVE_NO_SYMLINKS, which implies no magic links: openat2(2). */
const RESOLVE_NO_SYMLINKS = 0x04n;

/** Longest accounting file that is read; io.stat and its kin have a line for each device. */
const maxRead = 4096;

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
}

/**
 * Appends what gives a container its cgroups: in `prepare` the directories and limits, in `child`
 * the attach to v1 trees (call it before anything else adds child steps), in `teardown` the end of
 * every process, the reading of accounts and the removal. With annotation `limits: 'none'` it
 * ignores `linux.resources`, and uses the v2 tree for tracking only where it can.
 * @throws InvalidSpecError for values the kernel would refuse; UnsupportedError, PermissionError
 * (ERR_CGROUP_UNAVAILABLE) for what cannot be enforced; NotFoundError (ERR_CGROUP_NOT_FOUND) for a
 * missing `cgroupParent`; StateError (ERR_CGROUP_EXISTS) when the id is taken
 */
export function planCgroup(
  builder: PlanBuilder,
  spec: Spec,
  host: CgroupHost,
  options: { id: string; privileged: boolean },
): CgroupPlan {
  const notes = spec.annotations ?? {};
  const resources = resourcesOf(spec);
  checkResources(resources);
  const layout = layOut(host, {
    choice: chooseCgroup(options.id, notes[annotation.cgroupParent], spec.linux.cgroupsPath),
    resources,
    cpuTime: notes[annotation.cpuTime] !== undefined,
    privileged: options.privileged,
  });
  const { unified, v1 } = layout;
  const files: string[] = [];
  let inUnified: Slot = slot.none;
  if (unified !== undefined) {
    inUnified = planUnified(builder, unified, resources);
    if (namespaceMode(spec.linux.namespaces, 'cgroup') === 'join') moveInto(builder, unified);
    else builder.intoCgroup = inUnified;
    files.push(...unifiedFiles(unified));
    builder.add('teardown', write(unified.dir, { file: 'cgroup.kill', data: '1' }));
  }
  for (const tree of v1) {
    planV1(builder, tree, resources);
    files.push(...v1Files(tree, unified !== undefined));
  }
  planDevices(builder, layout, resources, inUnified);
  const dirs = [...(unified === undefined ? [] : [unified.dir]), ...v1.map(({ dir }) => dir)];
  builder.add('teardown', ...files.map(read), ...dirs.map(removal));
  return {
    paths: {
      ...(unified === undefined ? {} : { unified: unified.dir }),
      v1: Object.fromEntries(
        v1.flatMap(({ hierarchy, dir }) => hierarchy.controllers.map((name) => [name, dir])),
      ),
    },
    unshareCgroupNs: v1.length > 0,
    usageFiles: files,
    enforced: enforcedLimits(resources),
  };
}

function resourcesOf(spec: Spec): SpecResources {
  const notes = spec.annotations ?? {};
  if (notes[annotation.limits] === 'none') return {};
  const resources = spec.linux.resources ?? {};
  const io = notes[annotation.io];
  return io === undefined
    ? resources
    : { ...resources, blockIO: addIoLimits(resources.blockIO, io) };
}

/** @returns slot of the cgroup's directory */
function planUnified(builder: PlanBuilder, tree: UnifiedTree, resources: SpecResources): Slot {
  const { dir, parent, enable } = tree;
  if (enable.length > 0) {
    const data = enable.map((name) => `+${name}`).join(' ');
    builder.add('prepare', write(parent.dir, { file: 'cgroup.subtree_control', data }));
  }
  const settings = [
    // No cgroups below it: nothing hides there, and rmdir always succeeds once it is empty.
    { file: 'cgroup.max.descendants', data: '0' },
    ...treeSettings(tree, resources, parentFacts(tree.hierarchy, parent, parent.isRoot)),
    ...Object.entries(resources.unified ?? {}).map(([file, data]) => ({ file, data })),
  ];
  const born = builder.newSlot();
  builder.add(
    'prepare',
    directory(dir),
    ...settings.map((setting) => write(dir, setting)),
    open(born, dir, O_PATH | constants.O_DIRECTORY),
    { op: 'verifyFs', slot: born, magic: FsMagic.CGROUP2_SUPER_MAGIC },
  );
  return born;
}

/**
 * The way into the cgroup for a child that is born in another's cgroup namespace: from there the
 * kernel shows no cgroup outside of it to clone3(2) (ENOENT, with nsdelegate). What has been opened
 * before that join goes on being judged by the namespace it was opened in.
 */
function moveInto(builder: PlanBuilder, { dir }: Tree): void {
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

function planV1(builder: PlanBuilder, tree: Tree, resources: SpecResources): void {
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
  const { limit = -1, disableOOMKiller } = resources.memory ?? {};
  if (tree.controllers.has('memory') && limit !== -1 && disableOOMKiller !== true) {
    builder.add('prepare', { op: 'watchOom', dir: slot.host, path: dir });
  }
}

function treeSettings(tree: Tree, resources: SpecResources, facts: ParentFacts): Setting[] {
  const wanted = controllers.filter(
    (name) => tree.controllers.has(name) || (name === 'cpuset' && carriesCpuset(tree)),
  );
  return wanted.flatMap((name) => settingsFor(name, resources, facts));
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

function unifiedFiles({ dir, controllers: used, parent, enable }: UnifiedTree): string[] {
  const counted = (['memory', 'pids', 'io'] as const).filter(
    (name) => used.has(name) || parent.enabled.includes(name) || enable.includes(name),
  );
  const names = [...usageFiles.core, ...counted.flatMap((name) => usageFiles.v2[name])];
  return names.map((name) => join(dir, name));
}

/** The v2 tree counts CPU time, too, so cpuacct is read only without it. */
function v1Files({ dir, hierarchy }: Tree, hasUnified: boolean): string[] {
  const counted = (['cpu', 'cpuacct', 'memory', 'pids', 'blkio'] as const).filter(
    (name) => hierarchy.controllers.includes(name) && !(name === 'cpuacct' && hasUnified),
  );
  return counted.flatMap((name) => usageFiles.v1[name]).map((name) => join(dir, name));
}

function enforcedLimits(resources: SpecResources): string[] {
  return [
    ...controllers.flatMap((controller) => asked(resources, controller)),
    ...((resources.devices ?? []).length > 0 ? ['devices'] : []),
    ...Object.keys(resources.unified ?? {}).map((file) => `unified.${file}`),
  ];
}

function directory(path: string): Step {
  // Never one that exists: it would be another container's.
  return { op: 'mkdir', dir: slot.host, path, mode: 0o755, existOk: 0 };
}

function write(dir: string, { file, data }: Setting): Step {
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

function read(path: string): Step {
  return { op: 'read', dir: slot.host, path, max: maxRead };
}

function removal(path: string): Step {
  return { op: 'rmdir', dir: slot.host, path };
}
