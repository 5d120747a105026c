import type { PlanBuilder } from '../../plan/builder.js';
import { inRootStrict, isPrivate } from '../../plan/flags.js';
import { type Slot, slot } from '../../plan/steps.js';
import { isWithin, rootKind } from '../../spec/rootKind.js';
import type { Spec } from '../../spec/types.js';
import { AT_EMPTY_PATH, AT_RECURSIVE, MountAttr, OpenFlags } from '../../sys/constants.js';
import type { Facts } from '../facts.js';
import { openDevice } from './devices.js';
import { type NameFile, nameFiles } from './nameFiles.js';
import { scratchTmpfs } from './overlay.js';

/**
 * Covers the masked paths and makes the read-only ones read-only; a path that the root does not
 * have is skipped. A directory or overlay root sees its own host name, hosts and resolv.conf in the
 * places where it has such files. The covers are the host's verified /dev/null and an empty directory of our own:
 * what the root calls /dev/null may be anything.
 */
export function planMasks(
  builder: PlanBuilder,
  spec: Spec,
  facts: Facts,
  root: Slot | undefined,
): void {
  if (root === undefined) return;
  const masked = facts.expandedMasks ?? spec.linux.maskedPaths ?? [];
  const names = rootKind(spec) === 'host' ? [] : uncovered(spec, nameFiles(spec, facts));
  if (masked.length > 0 || names.length > 0) {
    const { file, directory, named } = planCovers(builder, names);
    for (const path of masked) builder.add('child', { op: 'mask', root, path, file, directory });
    for (const [path, own] of named)
      builder.add('child', { op: 'mask', root, path, file: own, directory });
  }
  for (const path of spec.linux.readonlyPaths ?? [])
    builder.add('child', { op: 'readonlyPath', root, path });
}

/** Without those that a mount of the spec's own stands on. */
function uncovered(spec: Spec, files: NameFile[]): NameFile[] {
  return files.filter(
    ({ name }) => !(spec.mounts ?? []).some((mount) => isWithin(`/etc/${name}`, mount.destination)),
  );
}

interface Covers {
  file: Slot;
  directory: Slot;
  /** Path in the root and the file to be seen there. */
  named: [path: string, file: Slot][];
}

/** The kernel clones only what is attached somewhere, so all lie on the scratch tmpfs. */
function planCovers(builder: PlanBuilder, names: readonly NameFile[]): Covers {
  const file = openDevice(builder, 'null', 1, 3);
  const scratch = scratchTmpfs(builder);
  scratch.file('/null');
  scratch.directory('/directory', 0o555);
  for (const { name, data } of names) scratch.file(`/${name}`, data);
  const open = (path: string, flags = 0): Slot => {
    const opened = builder.newSlot();
    builder.add('child', {
      op: 'open',
      slot: opened,
      dir: scratch.slot,
      path,
      flags: OpenFlags.O_PATH | flags,
      resolve: inRootStrict,
      mode: 0,
    });
    return opened;
  };
  builder.add('child', {
    op: 'attach',
    mount: file,
    root: scratch.slot,
    path: 'null',
    resolve: inRootStrict,
  });
  const directory = open('directory', OpenFlags.O_DIRECTORY);
  const named = names.map(({ name }): [string, Slot] => [`/etc/${name}`, open(name)]);
  builder.add('child', {
    op: 'mountSetattr',
    slot: scratch.slot,
    flags: AT_EMPTY_PATH | AT_RECURSIVE,
    set: BigInt(
      MountAttr.MOUNT_ATTR_RDONLY | MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NOEXEC,
    ),
    clear: 0n,
    propagation: isPrivate,
    userns: slot.none,
  });
  return { file, directory, named };
}
