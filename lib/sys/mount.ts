import { invalid } from '../errors.js';
import { native, returned } from './call.js';
import {
  bytes,
  descriptor,
  directory,
  integer,
  natural,
  optionalText,
  text,
  u32,
} from './check.js';
import { FsConfig, OpenTree } from './constants.js';

/*
 * Each of these calls acts in the calling thread's mount namespace and resolves paths from its
 * root and working directory; all threads of a process share them until one calls unshare.
 */

/** FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC */
const closeOnExec = 1;

/**
 * Mounts a file system, binds, remounts, moves, or changes propagation: mount(2).
 *
 * Warning: acts in the mount namespace of the calling thread.
 * @param source device, directory or any word, as the type wants it; undefined is NULL
 * @param target an existing path
 * @param fstype undefined (NULL) where the flags make it unused, as with MS_BIND
 * @param flags `MountFlags`, or-ed
 * @param data the type's own options, comma-separated; undefined is NULL
 * @throws SyscallError with `path` source and `dest` target, or `path` target alone
 */
export function mount(
  source: string | undefined,
  target: string,
  fstype: string | undefined,
  flags: number,
  data?: string,
): void {
  const rc = native().mount(
    optionalText('mount.source', source),
    text('mount.target', target),
    optionalText('mount.fstype', fstype),
    u32('mount.flags', flags),
    optionalText('mount.data', data),
  );
  returned(rc, 'mount', source === undefined ? { path: target } : { path: source, dest: target });
}

/**
 * Unmounts the topmost mount at a path: umount(2).
 *
 * Warning: acts in the mount namespace of the calling thread.
 * @param flags `UmountFlags`, or-ed
 * @throws SyscallError
 */
export function umount2(target: string, flags: number): void {
  const rc = native().umount2(text('umount2.target', target), natural('umount2.flags', flags));
  returned(rc, 'umount2', { path: target });
}

/**
 * Makes newRoot the root mount of the mount namespace and puts the old one at putOld:
 * pivot_root(2). With '.' for both, the old root lies on top of the new one and is taken off by
 * `umount2('.', UmountFlags.MNT_DETACH)`.
 *
 * Warning: acts in the calling thread's mount namespace, and moves the root and working directory
 * of every thread there that had the old root.
 * @param newRoot a mount point, other than the present root
 * @param putOld at or below newRoot
 * @throws SyscallError with `path` newRoot and `dest` putOld
 */
export function pivotRoot(newRoot: string, putOld: string): void {
  const rc = native().pivotRoot(
    text('pivotRoot.newRoot', newRoot),
    text('pivotRoot.putOld', putOld),
  );
  returned(rc, 'pivot_root', { path: newRoot, dest: putOld });
}

/**
 * Opens a context in which a file system is configured (`fsconfig`) and then mounted (`fsmount`):
 * fsopen(2). When one of these fails, the kernel's own words can be read from the descriptor, one
 * message a read.
 * @param fsname type as in /proc/filesystems
 * @param flags none but FSOPEN_CLOEXEC, which is always set
 * @returns a descriptor
 * @throws SyscallError ENODEV for an unknown type
 */
export function fsopen(fsname: string, flags = 0): number {
  const rc = native().fsopen(
    text('fsopen.fsname', fsname),
    natural('fsopen.flags', flags) | closeOnExec,
  );
  return returned(rc, 'fsopen', { about: fsname });
}

/**
 * Sets a parameter of a file system context, or creates or reconfigures the file system:
 * fsconfig(2).
 * @param fd from fsopen (or fspick)
 * @param cmd `FsConfig`; it decides which of the others are used
 * @param key the parameter; undefined for the commands CMD_*
 * @param value a string for SET_STRING, SET_PATH and SET_PATH_EMPTY, bytes for SET_BINARY
 * @param aux directory that a SET_PATH is resolved from, or the descriptor of a SET_FD; default 0
 * @throws SyscallError EINVAL for a parameter or value that the type does not take
 */
export function fsconfig(
  fd: number,
  cmd: number,
  key?: string,
  value?: string | Uint8Array,
  aux = 0,
): void {
  descriptor('fsconfig.fd', fd);
  u32('fsconfig.cmd', cmd);
  optionalText('fsconfig.key', key);
  returned(configure(fd, cmd, key, value, aux), 'fsconfig', { about: key });
}

function configure(
  fd: number,
  cmd: number,
  key: string | undefined,
  value: string | Uint8Array | undefined,
  aux: number,
): number {
  if (cmd === FsConfig.FSCONFIG_SET_BINARY) {
    if (key === undefined) throw invalid('fsconfig.key', 'the parameter of FSCONFIG_SET_BINARY');
    return native().fsconfigBinary(fd, key, bytes('fsconfig.value', value as Uint8Array));
  }
  const words = optionalText('fsconfig.value', value as string | undefined);
  return native().fsconfig(fd, cmd, key, words, directory('fsconfig.aux', aux));
}

/**
 * Makes a detached mount of a configured and created file system: fsmount(2).
 * @param fd from fsopen, after FSCONFIG_CMD_CREATE
 * @param flags none but FSMOUNT_CLOEXEC, which is always set
 * @param attrFlags `MountAttr`, or-ed
 * @returns a descriptor of the mount's root, as by O_PATH; the mount goes when it is closed,
 *   unless `moveMount` has attached it
 * @throws SyscallError
 */
export function fsmount(fd: number, flags = 0, attrFlags = 0): number {
  const rc = native().fsmount(
    descriptor('fsmount.fd', fd),
    natural('fsmount.flags', flags) | closeOnExec,
    u32('fsmount.attrFlags', attrFlags),
  );
  return returned(rc, 'fsmount');
}

/**
 * Attaches a detached mount, or moves an attached one: move_mount(2).
 *
 * Warning: the target must lie in the mount namespace of the calling thread.
 * @param flags `MoveMount`, or-ed; MOVE_MOUNT_F_EMPTY_PATH when fromPath is ''
 * @throws SyscallError with `path` fromPath and `dest` toPath
 */
export function moveMount(
  fromDirfd: number,
  fromPath: string,
  toDirfd: number,
  toPath: string,
  flags: number,
): void {
  const rc = native().moveMount(
    directory('moveMount.fromDirfd', fromDirfd),
    text('moveMount.fromPath', fromPath),
    directory('moveMount.toDirfd', toDirfd),
    text('moveMount.toPath', toPath),
    u32('moveMount.flags', flags),
  );
  returned(rc, 'move_mount', { path: fromPath, dest: toPath });
}

/**
 * Opens a mount or a place in one, or with OPEN_TREE_CLONE a detached copy of it: open_tree(2).
 *
 * Warning: a copy can be made of what is in the mount namespace of the calling thread.
 * @param flags `OpenTree` and AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW,
 *   or-ed; OPEN_TREE_CLOEXEC is always set
 * @returns a descriptor as by O_PATH; a copy goes when it is closed, unless attached
 * @throws SyscallError
 */
export function openTree(dirfd: number, path: string, flags: number): number {
  const rc = native().openTree(
    directory('openTree.dirfd', dirfd),
    text('openTree.path', path),
    natural('openTree.flags', flags) | OpenTree.OPEN_TREE_CLOEXEC,
  );
  return returned(rc, 'open_tree', { path });
}

/** What `mountSetattr` changes; what is left out stays as it is. */
export interface MountAttributes {
  /** `MountAttr` to set. */
  attrSet?: number;
  /** `MountAttr` to clear; MOUNT_ATTR__ATIME first, to choose another access-time mode. */
  attrClr?: number;
  /** One of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE. */
  propagation?: number;
  /** With MOUNT_ATTR_IDMAP: descriptor of the user namespace whose maps are used. */
  usernsFd?: number;
}

/**
 * Changes the attributes of a mount, or with AT_RECURSIVE of a whole tree: mount_setattr(2).
 *
 * Warning: acts on detached mounts and on those in the mount namespace of the calling thread.
 * @param flags AT_EMPTY_PATH, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT, or-ed
 * @throws SyscallError
 */
export function mountSetattr(
  dirfd: number,
  path: string,
  flags: number,
  attributes: MountAttributes,
): void {
  const { attrSet = 0, attrClr = 0, propagation = 0, usernsFd = 0 } = attributes;
  const words = BigUint64Array.of(
    BigInt(u32('mountSetattr.attrSet', attrSet)),
    BigInt(u32('mountSetattr.attrClr', attrClr)),
    BigInt(integer('mountSetattr.propagation', propagation, 0, 0x7fffffff)),
    BigInt(descriptor('mountSetattr.usernsFd', usernsFd)),
  );
  const rc = native().mountSetattr(
    directory('mountSetattr.dirfd', dirfd),
    text('mountSetattr.path', path),
    u32('mountSetattr.flags', flags),
    words,
  );
  returned(rc, 'mount_setattr', { path });
}
