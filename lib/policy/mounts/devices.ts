import type { PlanBuilder } from '../../plan/builder.js';
import { cloneMount, isPrivate } from '../../plan/flags.js';
import { type Slot, slot } from '../../plan/steps.js';
import { AT_EMPTY_PATH, AT_RECURSIVE, MountAttr } from '../../sys/constants.js';
import { attach } from './fromHost.js';
import type { TmpfsTree } from './tmpfsTree.js';

/** What every container has, with the numbers that make it that device. */
const devices = [
  { name: 'null', major: 1, minor: 3 },
  { name: 'zero', major: 1, minor: 5 },
  { name: 'full', major: 1, minor: 7 },
  { name: 'random', major: 1, minor: 8 },
  { name: 'urandom', major: 1, minor: 9 },
  { name: 'tty', major: 5, minor: 0 },
] as const;

const links = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['ptmx', 'pts/ptmx'],
] as const;

/**
 * Opens a device of the host and makes sure that it is that device: a path proves nothing.
 * @returns slot of a detached mount of the device file
 */
export function openDevice(builder: PlanBuilder, name: string, major: number, minor: number): Slot {
  const mount = builder.newSlot();
  const path = `/dev/${name}`;
  builder.add(
    'prepare',
    { op: 'openTree', slot: mount, dir: slot.host, path, flags: cloneMount },
    { op: 'verifyDevice', slot: mount, major, minor },
  );
  return mount;
}

/** Fills a /dev that has just been attached: devices of the host and links, nothing else. */
export function planDevices(dev: TmpfsTree, root: Slot): void {
  const { builder } = dev;
  for (const { name, major, minor } of devices) {
    const mount = openDevice(builder, name, major, minor);
    dev.file(`/${name}`);
    attach(builder, mount, root, `/dev/${name}`);
  }
  for (const [name, target] of links) dev.symlink(`/${name}`, target);
  // One call makes all of the host's files read-only, which for a device still allows to write to
  // it, but not to change its owner, mode or times; then only our own tmpfs is opened again.
  const readonly = BigInt(MountAttr.MOUNT_ATTR_RDONLY);
  const base = { op: 'mountSetattr', slot: dev.slot, userns: slot.none } as const;
  builder.add(
    'child',
    {
      ...base,
      flags: AT_EMPTY_PATH | AT_RECURSIVE,
      set: BigInt(
        MountAttr.MOUNT_ATTR_RDONLY | MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NOEXEC,
      ),
      clear: 0n,
      propagation: isPrivate,
    },
    { ...base, flags: AT_EMPTY_PATH, set: 0n, clear: readonly, propagation: 0n },
  );
}
