import type { PlanBuilder } from '../../plan/builder.js';
import { inRootStrict, isPrivate } from '../../plan/flags.js';
import { type Slot, slot } from '../../plan/steps.js';
import type { Spec } from '../../spec/types.js';
import { AT_EMPTY_PATH, AT_RECURSIVE, MountAttr, OpenFlags } from '../../sys/constants.js';
import type { Facts } from '../facts.js';
import { openDevice } from './devices.js';
import { scratchTmpfs } from './overlay.js';

/**
 * Covers the masked paths and makes the read-only ones read-only; a path that the root does not
 * have is skipped. The covers are the host's verified /dev/null and an empty directory of our own:
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
  if (masked.length > 0) {
    const { file, directory } = planCovers(builder);
    for (const path of masked) builder.add('child', { op: 'mask', root, path, file, directory });
  }
  for (const path of spec.linux.readonlyPaths ?? [])
    builder.add('child', { op: 'readonlyPath', root, path });
}

/** The kernel clones only what is attached somewhere, so both lie on the scratch tmpfs. */
function planCovers(builder: PlanBuilder): { file: Slot; directory: Slot } {
  const file = openDevice(builder, 'null', 1, 3);
  const scratch = scratchTmpfs(builder);
  scratch.file('/null');
  scratch.directory('/directory', 0o555);
  const directory = builder.newSlot();
  builder.add(
    'child',
    { op: 'attach', mount: file, root: scratch.slot, path: 'null', resolve: inRootStrict },
    {
      op: 'open',
      slot: directory,
      dir: scratch.slot,
      path: 'directory',
      flags: OpenFlags.O_PATH | OpenFlags.O_DIRECTORY,
      resolve: inRootStrict,
      mode: 0,
    },
    {
      op: 'mountSetattr',
      slot: scratch.slot,
      flags: AT_EMPTY_PATH | AT_RECURSIVE,
      set: BigInt(
        MountAttr.MOUNT_ATTR_RDONLY | MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NOEXEC,
      ),
      clear: 0n,
      propagation: isPrivate,
      userns: slot.none,
    },
  );
  return { file, directory };
}
