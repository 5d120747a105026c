import { posix } from 'node:path';
import { invalid, UnsupportedError } from '../../errors.js';
import type { PlanBuilder } from '../../plan/builder.js';
import { type Slot, slot } from '../../plan/steps.js';
import { formatIdMap } from '../../spec/idMap.js';
import { mountName, mountType } from '../../spec/rules/mounts.js';
import type { IdMapping, Spec, SpecMount } from '../../spec/types.js';
import { AT_EMPTY_PATH, MountAttr } from '../../sys/constants.js';
import type { Facts } from '../facts.js';
import { planDevices } from './devices.js';
import { attach, canIdmap, cloneFromHost, type PolicyInput, requireIdmap } from './fromHost.js';
import { planOverlay } from './overlay.js';
import { exists, missingPlace, places } from './places.js';
import { checkStaysReadonly } from './remount.js';
import { TmpfsTree } from './tmpfsTree.js';
import { type MountWords, readWords } from './words.js';

/** What later parts of the plan need of the mounts. */
export interface PlannedMounts {
  /** The devpts on /dev/pts, for a terminal. */
  devpts?: Slot;
  /** A proc on /proc whose sysctls can be written. */
  proc?: Slot;
}

const kernelAttributes =
  MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NODEV | MountAttr.MOUNT_ATTR_NOEXEC;

/** File systems of the kernel's own: the type as fsopen(2) has it, and what is always set. */
const kernelTypes: Readonly<Record<string, { type: string; attributes: number }>> = {
  proc: { type: 'proc', attributes: kernelAttributes },
  sysfs: { type: 'sysfs', attributes: kernelAttributes },
  mqueue: { type: 'mqueue', attributes: kernelAttributes },
  devpts: {
    type: 'devpts',
    attributes: MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NOEXEC,
  },
  // No cgroup v1 in a guest (release_agent), and no writable v2: the limits are in there.
  cgroup: { type: 'cgroup2', attributes: kernelAttributes | MountAttr.MOUNT_ATTR_RDONLY },
  cgroup2: { type: 'cgroup2', attributes: kernelAttributes | MountAttr.MOUNT_ATTR_RDONLY },
};

/**
 * The spec's mounts, in order, on the new root. Binds are made by the launcher and arrive as
 * detached mounts; everything else the child mounts itself, with the rights of the container.
 * @throws InvalidSpecError for an option that the type does not have
 * @throws UnsupportedError for a type that is not known, or owners that cannot be mapped
 * @throws NotFoundError `ERR_MOUNT_POINT_MISSING` for a destination inside an earlier mount
 */
export function planMounts(
  builder: PlanBuilder,
  spec: Spec,
  facts: Facts,
  root: Slot | undefined,
): PlannedMounts {
  if (root === undefined) return {};
  const planned: PlannedMounts = {};
  const trees = new Map<number, TmpfsTree>();
  const sealed: Slot[] = [];
  for (const [i, { mount, needs, on }] of places(spec, facts).entries()) {
    const { destination } = mount;
    const words = readWords(mount, `${mountName(mount)}.options`, mountType(mount));
    if (on === 'inside' && !exists(facts, destination))
      throw missingPlace(destination, 'what is mounted there', 'create it in the source');
    if (typeof on === 'number') {
      if (needs === 'file') trees.get(on)?.file(within(spec, on, destination));
      else trees.get(on)?.directory(within(spec, on, destination));
    }
    const made = makeMount({ builder, spec, facts }, mount, words);
    attach(builder, made, root, destination);
    if (mount.type === 'tmpfs') {
      const tree = new TmpfsTree(builder, made);
      trees.set(i, tree);
      if ((words.set & MountAttr.MOUNT_ATTR_RDONLY) !== 0) sealed.push(made);
      if (destination === '/dev') planDevices(tree, root);
    }
    if (mount.type === 'devpts' && destination === '/dev/pts') planned.devpts = made;
    if (mount.type === 'proc' && destination === '/proc' && showsSysctls(words))
      planned.proc = made;
  }
  for (const tmpfs of sealed) seal(builder, tmpfs);
  return planned;
}

/** It is neither read-only nor `subset=pid`. */
function showsSysctls({ set, data }: MountWords): boolean {
  return (set & MountAttr.MOUNT_ATTR_RDONLY) === 0 && data.length === 0;
}

/** A destination as seen from the tmpfs that it lies on; `/` where it is that one's own. */
function within(spec: Spec, cover: number, destination: string): string {
  return posix.resolve('/', destination.slice(spec.mounts?.[cover]?.destination.length));
}

interface Context extends PolicyInput {
  builder: PlanBuilder;
}

function makeMount(context: Context, mount: SpecMount, words: MountWords): Slot {
  const { builder } = context;
  const option = mountName(mount);
  const type = mountType(mount);
  if (type === 'bind') return bind(context, mount, words, option);
  if (type === 'overlay') return overlay(context, words, option);
  const kernel = kernelTypes[type];
  if (kernel === undefined && type !== 'tmpfs') {
    throw new UnsupportedError(
      'ERR_UNSUPPORTED_MOUNT_TYPE',
      `${option}.type: expected bind, tmpfs, overlay, ${Object.keys(kernelTypes).join(', ')}, got ${type}`,
      { phase: 'mount', option: `${option}.type` },
    );
  }
  const made = builder.newSlot();
  // A read-only tmpfs is sealed when everything that lies on it is there.
  const attributes =
    kernel === undefined ? words.set & ~MountAttr.MOUNT_ATTR_RDONLY : kernel.attributes | words.set;
  builder.add('child', {
    op: 'fsMount',
    slot: made,
    type: kernel?.type ?? 'tmpfs',
    options: words.data,
    attributes,
  });
  return made;
}

/**
 * A bind of a host path. Where the launcher has the right, its owners are shown through the
 * container's id map, so that what uid 0 owns on disk is the container's root's: that root can then
 * write there as uid 0 of the disk, set-id files included, which is why a writable bind belongs to
 * a directory made for it.
 */
function bind(context: Context, mount: SpecMount, words: MountWords, option: string): Slot {
  const { builder, facts } = context;
  const path = mount.source ?? '';
  if ((words.set & MountAttr.MOUNT_ATTR_RDONLY) !== 0) checkStaysReadonly(context.spec, mount);
  if (mount.uidMappings !== undefined) checkMaps(facts, mount, option);
  return cloneFromHost(builder, {
    path,
    recursive: words.recursive,
    set: words.set,
    clear: words.clear,
    idmap: bindIdmap(context, mount, words, option),
  });
}

/** Which of a bind's mounts are idmapped: all that can be, unless all of them were asked for. */
function bindIdmap(
  context: Context,
  mount: SpecMount,
  words: MountWords,
  option: string,
): boolean | 'top' {
  const path = mount.source ?? '';
  const partly = words.recursive && context.facts.unmappedBelow?.has(path) === true;
  if (!words.idmap && mount.uidMappings === undefined)
    return canIdmap(context, path) && (partly ? 'top' : true);
  if (!partly) return requireIdmap(context, path, `${option}.options`);
  throw new UnsupportedError(
    'ERR_IDMAP_UNAVAILABLE',
    `${option}.options: a file system that is mounted below ${path} cannot be idmapped`,
    { phase: 'mount', option: `${option}.options`, path },
  );
}

/** A mount's own map would need a user namespace of its own. */
function checkMaps(facts: Facts, mount: SpecMount, option: string): void {
  if (same(mount.uidMappings, facts.uidMappings) && same(mount.gidMappings, facts.gidMappings)) {
    return;
  }
  throw new UnsupportedError(
    'ERR_IDMAP_UNAVAILABLE',
    `${option}.uidMappings: expected the container's own maps`,
    { phase: 'mount', option: `${option}.uidMappings` },
  );
}

function same(a: readonly IdMapping[] = [], b: readonly IdMapping[]): boolean {
  return formatIdMap(a) === formatIdMap(b);
}

function overlay({ builder, spec, facts }: Context, words: MountWords, option: string): Slot {
  const value = (name: string) =>
    words.data.findLast((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
  const [lowerdir, upper, work] = [value('lowerdir'), value('upperdir'), value('workdir')];
  const lower = lowerdir?.split(':') ?? [];
  if (lower.length === 0 || !lower.every((path) => path.startsWith('/')))
    throw invalid(`${option}.options`, "'lowerdir=' with absolute paths", lowerdir);
  if ((upper === undefined) !== (work === undefined)) {
    throw invalid(`${option}.options`, "'upperdir=…' and 'workdir=…' together");
  }
  return planOverlay(builder, spec, facts, {
    layers: upper === undefined || work === undefined ? { lower } : { lower, upper, work },
    readonly: upper === undefined,
    missing: [],
    option,
    attributes: words.set,
  });
}

function seal(builder: PlanBuilder, tmpfs: Slot): void {
  builder.add('child', {
    op: 'mountSetattr',
    slot: tmpfs,
    flags: AT_EMPTY_PATH,
    set: BigInt(MountAttr.MOUNT_ATTR_RDONLY),
    clear: 0n,
    propagation: 0n,
    userns: slot.none,
  });
}
