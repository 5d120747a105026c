import { AT_RECURSIVE, MountAttr, MountFlags, OpenTree, Resolve } from '../sys/constants.js';

/*
 * Flags as plans combine them. The flags themselves, by the kernel's names, are in
 * lib/sys/constants.ts; here is only what has no name there.
 */

/** A path inside a container's root: the root is '/', and no magic link leads out of it. */
export const inRoot = BigInt(Resolve.RESOLVE_IN_ROOT | Resolve.RESOLVE_NO_MAGICLINKS);

/** As `inRoot`, and a symbolic link on the way is an error: for /proc, /sys and /dev. */
export const inRootStrict = inRoot | BigInt(Resolve.RESOLVE_NO_SYMLINKS);

/** A detached copy of one mount. */
export const cloneMount = OpenTree.OPEN_TREE_CLONE | OpenTree.OPEN_TREE_CLOEXEC;

/** A detached copy of a mount and everything mounted below it. */
export const cloneTree = cloneMount | AT_RECURSIVE;

/** Propagation of every mount that enters a container: none, in either direction. */
export const isPrivate = BigInt(MountFlags.MS_PRIVATE);

/** Attributes of what comes from the host and is not to be changed. */
export const readonlyAttributes =
  MountAttr.MOUNT_ATTR_RDONLY | MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NODEV;

/** Rights that a Landlock ruleset can handle (landlock(7), "Filesystem actions"). */
export const LandlockFs = {
  EXECUTE: 1n << 0n,
  WRITE_FILE: 1n << 1n,
  READ_FILE: 1n << 2n,
  READ_DIR: 1n << 3n,
  REMOVE_DIR: 1n << 4n,
  REMOVE_FILE: 1n << 5n,
  MAKE_CHAR: 1n << 6n,
  MAKE_DIR: 1n << 7n,
  MAKE_REG: 1n << 8n,
  MAKE_SOCK: 1n << 9n,
  MAKE_FIFO: 1n << 10n,
  MAKE_BLOCK: 1n << 11n,
  MAKE_SYM: 1n << 12n,
  /** Link and rename between directories (ABI 2). */
  REFER: 1n << 13n,
  /** ABI 3. */
  TRUNCATE: 1n << 14n,
  /** ioctl on device files (ABI 5). */
  IOCTL_DEV: 1n << 15n,
} as const;

/** What a Landlock domain may be cut off from (ABI 6). */
export const LandlockScope = {
  ABSTRACT_UNIX_SOCKET: 1n << 0n,
  SIGNAL: 1n << 1n,
} as const;
