import type { PlanBuilder } from '../../plan/builder.js';
import { readonlyAttributes } from '../../plan/flags.js';
import type { Slot } from '../../plan/steps.js';
import { overlayLayers, rootKind } from '../../spec/rootKind.js';
import type { Spec } from '../../spec/types.js';
import { MountAttr } from '../../sys/constants.js';
import type { Facts } from '../facts.js';
import { attachRoot, canIdmap, cloneFromHost } from './fromHost.js';
import { planHostRoot } from './hostRoot.js';
import { planOverlay } from './overlay.js';
import { exists, type MountPlace, missingPlace, places } from './places.js';
import { mayRemount } from './remount.js';

/** What a container must never get from a root on disk: set-id programs and devices. */
const safe = MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NODEV;

/**
 * Makes the new root and everything that the spec's mounts will be mounted on, and attaches it
 * where the child will pivot to. Nothing is ever made in a host directory: what is missing in a
 * read-only root comes from an overlay's lowest layer.
 * @returns slot of the root, undefined where the container lives in a joined mount namespace
 * @throws NotFoundError `ERR_MOUNT_POINT_MISSING` for a writable directory that lacks a mount point
 */
export function planRoot(builder: PlanBuilder, spec: Spec, facts: Facts): Slot | undefined {
  const root = makeRoot(builder, spec, facts);
  if (root !== undefined && rootKind(spec) !== 'host') attachRoot(builder, root);
  return root;
}

function makeRoot(builder: PlanBuilder, spec: Spec, facts: Facts): Slot | undefined {
  const readonly = spec.root?.readonly === true;
  const missing = places(spec, facts).filter(
    ({ on, mount }) => on === 'root' && !exists(facts, mount.destination),
  );
  switch (rootKind(spec)) {
    case 'joined':
      return undefined;
    case 'host':
      return planHostRoot(builder, spec, facts);
    case 'directory':
      return directoryRoot(builder, spec, facts, spec.root?.path ?? '/', readonly, missing);
    case 'overlay': {
      const layers = overlayLayers(spec);
      const [only] = layers.lower;
      if (readonly && layers.lower.length === 1 && only !== undefined)
        return directoryRoot(builder, spec, facts, only, true, missing);
      return planOverlay(builder, spec, facts, { layers, readonly, missing, option: 'rootfs' });
    }
  }
}

function directoryRoot(
  builder: PlanBuilder,
  spec: Spec,
  facts: Facts,
  path: string,
  readonly: boolean,
  missing: readonly MountPlace[],
): Slot {
  const [first] = missing;
  // Read-only by its file system, where the container could change what is so by its mount.
  const overlay = first !== undefined || (readonly && mayRemount(spec));
  if (!overlay) {
    const set = readonly ? readonlyAttributes : safe;
    const idmap = canIdmap({ spec, facts }, path);
    return cloneFromHost(builder, { path, recursive: true, set, idmap });
  }
  if (!readonly && first !== undefined) {
    const hint = 'create it, or use an overlay as root';
    throw missingPlace(first.mount.destination, path, hint);
  }
  const layers = { lower: [path] };
  return planOverlay(builder, spec, facts, { layers, readonly, missing, option: 'rootfs' });
}
