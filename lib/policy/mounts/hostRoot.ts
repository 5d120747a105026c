import type { PlanBuilder } from '../../plan/builder.js';
import { cloneTree, isPrivate, readonlyAttributes } from '../../plan/flags.js';
import { bytes, type Slot, slot } from '../../plan/steps.js';
import type { Spec } from '../../spec/types.js';
import { AT_EMPTY_PATH, AT_RECURSIVE, MountAttr } from '../../sys/constants.js';
import type { Facts, HostEntry } from '../facts.js';
import { attach, attachRoot } from './fromHost.js';
import { nameFiles } from './nameFiles.js';
import { planOverlay } from './overlay.js';
import { places } from './places.js';
import { mayRemount } from './remount.js';
import { TmpfsTree } from './tmpfsTree.js';

/** Holds mount points, links and three small files. */
const rootOptions = ['size=1m', 'nr_inodes=4k', 'mode=755'];

/**
 * A root of the host's system directories on a small tmpfs. Whatever is attached is made read-only
 * by one recursive call at the end, the tmpfs included, so that no entry can be forgotten.
 *
 * The entries are not idmapped (docs/decisions/0001-host-root-not-idmapped.md).
 */
export function planHostRoot(builder: PlanBuilder, spec: Spec, facts: Facts): Slot {
  const root = builder.newSlot();
  const attributes = MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NODEV;
  const options = rootOptions;
  builder.add('child', { op: 'fsMount', slot: root, type: 'tmpfs', options, attributes });
  attachRoot(builder, root);
  const tree = new TmpfsTree(builder, root);
  for (const entry of facts.hostEntries) {
    // Read-only by its file system, where the container could change what is so by its mount.
    if (entry.kind === 'directory' && mayRemount(spec)) showOverlay(tree, spec, facts, entry.path);
    else showEntry(tree, entry);
  }
  writeNames(tree, spec, facts);
  mountPoints(tree, spec, facts);
  builder.add('child', {
    op: 'mountSetattr',
    slot: root,
    flags: AT_EMPTY_PATH | AT_RECURSIVE,
    set: BigInt(readonlyAttributes),
    clear: 0n,
    propagation: isPrivate,
    userns: slot.none,
  });
  return root;
}

function showEntry(tree: TmpfsTree, { path, kind, target = '' }: HostEntry): void {
  const { builder } = tree;
  if (kind === 'symlink') {
    tree.symlink(path, target);
    return;
  }
  if (kind === 'directory') tree.directory(path);
  else tree.file(path);
  const mount = builder.newSlot();
  // Recursive, because an ordinary user may not show a directory without what is mounted below.
  builder.add('prepare', { op: 'openTree', slot: mount, dir: slot.host, path, flags: cloneTree });
  attach(builder, mount, tree.slot, path);
}

function showOverlay(tree: TmpfsTree, spec: Spec, facts: Facts, path: string): void {
  tree.directory(path);
  const overlay = planOverlay(tree.builder, spec, facts, {
    layers: { lower: [path] },
    readonly: true,
    missing: [],
    option: 'rootfs',
    unmapped: true,
  });
  attach(tree.builder, overlay, tree.slot, path);
}

function writeNames(tree: TmpfsTree, spec: Spec, facts: Facts): void {
  for (const { name, data } of nameFiles(spec, facts)) tree.file(`/etc/${name}`, data);
  if (!tree.has('/etc/passwd')) {
    tree.file('/etc/passwd', bytes('root:x:0:0:root:/root:/bin/sh\n'));
  }
  if (!tree.has('/etc/group')) tree.file('/etc/group', bytes('root:x:0:\n'));
}

function mountPoints(tree: TmpfsTree, spec: Spec, facts: Facts): void {
  for (const { mount, needs, on } of places(spec, facts)) {
    if (on !== 'root') continue;
    if (needs === 'file') tree.file(mount.destination);
    else tree.directory(mount.destination);
  }
}
