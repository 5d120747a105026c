import type { PlanBuilder } from '../../plan/builder.js';
import { cloneTree, isPrivate, readonlyAttributes } from '../../plan/flags.js';
import { bytes, type Slot, slot } from '../../plan/steps.js';
import type { Spec } from '../../spec/types.js';
import { AT_EMPTY_PATH, AT_RECURSIVE, MountAttr } from '../../sys/constants.js';
import type { Facts, HostEntry } from '../facts.js';
import { attach, attachRoot } from './fromHost.js';
import { places } from './places.js';
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
  for (const entry of facts.hostEntries) showEntry(tree, entry);
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
  if (kind === 'symlink') return tree.symlink(path, target);
  if (kind === 'directory') tree.directory(path);
  else tree.file(path);
  const mount = builder.newSlot();
  // Recursive, because an ordinary user may not show a directory without what is mounted below.
  builder.add('prepare', { op: 'openTree', slot: mount, dir: slot.host, path, flags: cloneTree });
  attach(builder, mount, tree.slot, path);
}

/** What the host's own files would say wrongly: they name the host and its name servers. */
function writeNames(tree: TmpfsTree, spec: Spec, facts: Facts): void {
  const { hostname } = spec;
  const names = hostname === undefined ? '' : `127.0.1.1\t${hostname}\n`;
  if (hostname !== undefined) tree.file('/etc/hostname', bytes(`${hostname}\n`));
  tree.file('/etc/hosts', bytes(`127.0.0.1\tlocalhost\n::1\tlocalhost\n${names}`));
  tree.file('/etc/resolv.conf', bytes(facts.resolvConf ?? '# no network\n'));
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
