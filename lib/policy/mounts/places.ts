import { NotFoundError } from '../../errors.js';
import { isWithin, rootKind } from '../../spec/rootKind.js';
import { isBind } from '../../spec/rules/mounts.js';
import type { Spec, SpecMount } from '../../spec/types.js';
import type { Facts } from '../facts.js';

/** What a mount of the spec is mounted on. */
export interface MountPlace {
  mount: SpecMount;
  /** What must be there to mount on. */
  needs: 'file' | 'directory';
  /**
   * Where that is: on the root, on the tmpfs of an earlier mount (its index), or inside something
   * that has its own files (`'inside'`), where nothing can be made.
   */
  on: 'root' | 'inside' | number;
}

/**
 * Where each mount of the spec will lie, in order. A later mount on a path hides what earlier ones
 * put below it, so the latest that covers a destination is the one it lies on.
 */
export function places(spec: Spec, facts: Facts): MountPlace[] {
  const mounts = spec.mounts ?? [];
  const shown = rootKind(spec) === 'host' ? facts.hostEntries.map(({ path }) => path) : [];
  return mounts.map((mount, i) => {
    const cover = mounts.findLastIndex(
      (other, k) => k < i && isWithin(mount.destination, other.destination),
    );
    const isFile = isBind(mount) && facts.fileSources.has(mount.source ?? '');
    return { mount, needs: isFile ? 'file' : 'directory', on: placeOn(mount, cover) };
  });

  function placeOn(mount: SpecMount, cover: number): MountPlace['on'] {
    if (cover >= 0) return mounts[cover]?.type === 'tmpfs' ? cover : 'inside';
    return shown.some((path) => isWithin(mount.destination, path)) ? 'inside' : 'root';
  }
}

/** Whether something to mount on exists already; what facts do not know of, the kernel will tell. */
export function exists(facts: Facts, destination: string): boolean {
  return facts.root === undefined || facts.root.existing.has(destination);
}

/**
 * The error for a destination that is not there and that nobody may make.
 * @param where what it would have to be made in
 */
export function missingPlace(destination: string, where: string, hint: string): NotFoundError {
  return new NotFoundError(
    'ERR_MOUNT_POINT_MISSING',
    `mounts: expected '${destination}' to exist in ${where} as something to mount on`,
    { phase: 'mount', option: 'mounts', path: destination, hint },
  );
}
