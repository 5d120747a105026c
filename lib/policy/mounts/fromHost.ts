import { UnsupportedError } from '../../errors.js';
import type { PlanBuilder } from '../../plan/builder.js';
import { cloneMount, cloneTree, inRoot, inRootStrict, isPrivate } from '../../plan/flags.js';
import { type Slot, slot } from '../../plan/steps.js';
import { namespaceMode } from '../../spec/namespaces.js';
import type { Spec } from '../../spec/types.js';
import { AT_EMPTY_PATH, AT_RECURSIVE } from '../../sys/constants.js';
import type { Facts } from '../facts.js';

/** What every part of the mount policy is made from. */
export interface PolicyInput {
  spec: Spec;
  facts: Facts;
}

/** A host path that is to enter the container as a detached mount. */
export interface FromHost {
  path: string;
  /** With everything mounted below it. */
  recursive: boolean;
  /** `MOUNT_ATTR_*` to set and to clear, on all of it. */
  set: number;
  clear?: number;
  /** Show the owners on disk through the container's id map: everywhere, or at the top only. */
  idmap: boolean | 'top';
}

/**
 * Clones a host tree in `prepare`: with the launcher's rights, in the host's mount namespace.
 *
 * A recursive clone takes its attributes on every mount, so that a read-only volume has no
 * writable corner. A clone that is not recursive fails for an ordinary user where something is
 * mounted below (EINVAL: the kernel will not uncover it); it is not made recursive in silence,
 * because that would show more than was asked.
 * @returns the slot of the detached mount
 */
export function cloneFromHost(builder: PlanBuilder, from: FromHost): Slot {
  const mount = builder.newSlot();
  const recursive = from.recursive ? AT_RECURSIVE : 0;
  builder.add(
    'prepare',
    {
      op: 'openTree',
      slot: mount,
      dir: slot.host,
      path: from.path,
      flags: from.recursive ? cloneTree : cloneMount,
    },
    {
      op: 'mountSetattr',
      slot: mount,
      flags: AT_EMPTY_PATH | recursive,
      set: BigInt(from.set),
      clear: BigInt(from.clear ?? 0),
      propagation: isPrivate,
      userns: slot.none,
    },
  );
  // The map is the one of the child's own user namespace, so it must wait for that.
  if (from.idmap !== false) {
    const all = from.recursive && from.idmap !== 'top';
    builder.add('attend', { op: 'idmapMount', slot: mount, recursive: all ? 1 : 0 });
  }
  return mount;
}

/**
 * Whether a host tree's owners can be mapped: by root, for a user namespace of its own, on a file
 * system that takes it. Elsewhere they look like nobody, and the container's root has no power
 * over them.
 */
export function canIdmap({ spec, facts }: PolicyInput, path: string): boolean {
  return whyNotIdmapped({ spec, facts }, path) === undefined;
}

/**
 * The same, where nothing else will do.
 * @param option dotted name of the option that asked for it
 * @throws UnsupportedError `ERR_IDMAP_UNAVAILABLE`
 */
export function requireIdmap(input: PolicyInput, path: string, option: string): true {
  const why = whyNotIdmapped(input, path);
  if (why === undefined) return true;
  throw new UnsupportedError('ERR_IDMAP_UNAVAILABLE', `${option}: ${why}`, {
    phase: 'mount',
    option,
    path,
  });
}

function whyNotIdmapped({ spec, facts }: PolicyInput, path: string): string | undefined {
  if (!facts.privileged) return 'only root can map the owners of host files';
  if (namespaceMode(spec.linux.namespaces, 'user') !== 'new')
    return 'owners can be mapped for a new user namespace only';
  if (facts.notIdmappable?.has(path) === true)
    return `the file system of ${path} cannot be idmapped`;
  return undefined;
}

/** Rules of resolution for a destination: links are no way to /proc, /sys and /dev. */
function resolveRules(destination: string): bigint {
  return /^\/(proc|sys|dev)(\/|$)/.test(destination) ? inRootStrict : inRoot;
}

/** Puts a mount on a path of the new root. */
export function attach(builder: PlanBuilder, mount: Slot, root: Slot, destination: string): void {
  builder.add('child', {
    op: 'attach',
    mount,
    root,
    path: destination,
    resolve: resolveRules(destination),
  });
}

/** Puts the new root where the child will pivot to. */
export function attachRoot(builder: PlanBuilder, root: Slot): void {
  const path = 'root';
  builder.add('child', { op: 'attach', mount: root, root: slot.home, path, resolve: inRootStrict });
}
