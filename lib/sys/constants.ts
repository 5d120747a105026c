/** Flag families, by the kernel's own names. One family a system call, one line a flag. */

/** In place of a directory descriptor: the working directory. */
export const AT_FDCWD = -100;
/** The path is '': act on the descriptor itself. */
export const AT_EMPTY_PATH = 0x1000;
/** Act on the whole tree of mounts below. */
export const AT_RECURSIVE = 0x8000;
/** Do not follow a symbolic link at the end of the path. */
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** Do not set off an automount at the end of the path. */
export const AT_NO_AUTOMOUNT = 0x800;

/** `unshare`, `setns`: unshare(2), clone(2), namespaces(7). */
export const CloneFlags = {
  /** Time namespace: offsets of the monotonic and boot clocks. */
  CLONE_NEWTIME: 0x80,
  /** Root, working directory and umask are no longer shared with other threads. */
  CLONE_FS: 0x200,
  /** The table of descriptors is no longer shared with other threads. */
  CLONE_FILES: 0x400,
  /** Mount namespace. */
  CLONE_NEWNS: 0x20000,
  /** cgroup namespace: the present cgroups look like the roots. */
  CLONE_NEWCGROUP: 0x2000000,
  /** UTS namespace: host name and domain name. */
  CLONE_NEWUTS: 0x4000000,
  /** IPC namespace: System V objects and POSIX message queues. */
  CLONE_NEWIPC: 0x8000000,
  /** User namespace: ids and capabilities. */
  CLONE_NEWUSER: 0x10000000,
  /** Pid namespace, for children. */
  CLONE_NEWPID: 0x20000000,
  /** Network namespace. */
  CLONE_NEWNET: 0x40000000,
} as const;

/** `mount`: mount(2). */
export const MountFlags = {
  /** Read-only. */
  MS_RDONLY: 0x1,
  /** Set-id bits and file capabilities have no effect. */
  MS_NOSUID: 0x2,
  /** Devices cannot be opened. */
  MS_NODEV: 0x4,
  /** Programs cannot be executed. */
  MS_NOEXEC: 0x8,
  /** Writes reach the device at once. */
  MS_SYNCHRONOUS: 0x10,
  /** Change the flags and options of an existing mount. */
  MS_REMOUNT: 0x20,
  /** Changes of directories reach the device at once. */
  MS_DIRSYNC: 0x80,
  /** Symbolic links are not followed (Linux 5.10). */
  MS_NOSYMFOLLOW: 0x100,
  /** Access times are not updated. */
  MS_NOATIME: 0x400,
  /** Access times of directories are not updated. */
  MS_NODIRATIME: 0x800,
  /** Make a file or tree visible at another place. */
  MS_BIND: 0x1000,
  /** Move a mount. */
  MS_MOVE: 0x2000,
  /** With MS_BIND or a propagation type: the whole tree of mounts. */
  MS_REC: 0x4000,
  /** Certain warnings are not logged. */
  MS_SILENT: 0x8000,
  /** Propagation: none, and cannot be bound. */
  MS_UNBINDABLE: 0x20000,
  /** Propagation: none. */
  MS_PRIVATE: 0x40000,
  /** Propagation: received from the master, not sent. */
  MS_SLAVE: 0x80000,
  /** Propagation: sent and received. */
  MS_SHARED: 0x100000,
  /** Access times are updated when older than the change, or a day. */
  MS_RELATIME: 0x200000,
  /** Access times are always updated. */
  MS_STRICTATIME: 0x1000000,
  /** Times are kept in memory as long as possible. */
  MS_LAZYTIME: 0x2000000,
} as const;

/** `umount2`: umount(2). */
export const UmountFlags = {
  /** Break off requests that are under way; only some file systems can. */
  MNT_FORCE: 0x1,
  /** Hide it at once, unmount it when it is no longer used. */
  MNT_DETACH: 0x2,
  /** Unmount it at the second call, if it was not used in between. */
  MNT_EXPIRE: 0x4,
  /** Do not follow a symbolic link at the end of the path. */
  UMOUNT_NOFOLLOW: 0x8,
} as const;

/** `fsmount`, `mountSetattr`: mount_setattr(2). */
export const MountAttr = {
  /** Read-only. */
  MOUNT_ATTR_RDONLY: 0x1,
  /** Set-id bits and file capabilities have no effect. */
  MOUNT_ATTR_NOSUID: 0x2,
  /** Devices cannot be opened. */
  MOUNT_ATTR_NODEV: 0x4,
  /** Programs cannot be executed. */
  MOUNT_ATTR_NOEXEC: 0x8,
  /** Mask of the access-time modes: clear it before setting one. */
  MOUNT_ATTR__ATIME: 0x70,
  /** Access times are updated when older than the change, or a day. */
  MOUNT_ATTR_RELATIME: 0x0,
  /** Access times are not updated. */
  MOUNT_ATTR_NOATIME: 0x10,
  /** Access times are always updated. */
  MOUNT_ATTR_STRICTATIME: 0x20,
  /** Access times of directories are not updated. */
  MOUNT_ATTR_NODIRATIME: 0x80,
  /** Owners are mapped through a user namespace (Linux 5.12). */
  MOUNT_ATTR_IDMAP: 0x100000,
  /** Symbolic links are not followed (Linux 5.14). */
  MOUNT_ATTR_NOSYMFOLLOW: 0x200000,
} as const;

/** `openTree`: open_tree(2); beside these, the AT_ constants. */
export const OpenTree = {
  /** A detached copy instead of the mount itself. */
  OPEN_TREE_CLONE: 0x1,
  /** Close-on-exec. */
  OPEN_TREE_CLOEXEC: 0x80000,
} as const;

/** `moveMount`: move_mount(2). */
export const MoveMount = {
  /** Follow symbolic links in the source path. */
  MOVE_MOUNT_F_SYMLINKS: 0x1,
  /** Set off automounts in the source path. */
  MOVE_MOUNT_F_AUTOMOUNTS: 0x2,
  /** The source path is '': the descriptor itself. */
  MOVE_MOUNT_F_EMPTY_PATH: 0x4,
  /** Follow symbolic links in the target path. */
  MOVE_MOUNT_T_SYMLINKS: 0x10,
  /** Set off automounts in the target path. */
  MOVE_MOUNT_T_AUTOMOUNTS: 0x20,
  /** The target path is '': the descriptor itself. */
  MOVE_MOUNT_T_EMPTY_PATH: 0x40,
  /** Join the source's propagation group (Linux 5.15). */
  MOVE_MOUNT_SET_GROUP: 0x100,
  /** Below the topmost mount at the target (Linux 6.5). */
  MOVE_MOUNT_BENEATH: 0x200,
} as const;

/** `fsconfig`, its commands: fsconfig(2). */
export const FsConfig = {
  /** A parameter without a value. */
  FSCONFIG_SET_FLAG: 0,
  /** A string. */
  FSCONFIG_SET_STRING: 1,
  /** Bytes. */
  FSCONFIG_SET_BINARY: 2,
  /** A path, resolved from the directory aux. */
  FSCONFIG_SET_PATH: 3,
  /** As SET_PATH; '' is the descriptor aux itself. */
  FSCONFIG_SET_PATH_EMPTY: 4,
  /** The descriptor aux. */
  FSCONFIG_SET_FD: 5,
  /** Create the file system, or take one that exists. */
  FSCONFIG_CMD_CREATE: 6,
  /** Change the parameters of the file system that exists. */
  FSCONFIG_CMD_RECONFIGURE: 7,
  /** Create the file system; an existing one is an error (Linux 6.6). */
  FSCONFIG_CMD_CREATE_EXCL: 8,
} as const;

/** asm/fcntl.h: these three differ between the architectures. */
const perArchitecture =
  process.arch === 'arm64'
    ? { direct: 0x10000, directory: 0x4000, nofollow: 0x8000 }
    : { direct: 0x4000, directory: 0x10000, nofollow: 0x20000 };

/** `openat2`, `pipe2`: open(2). Numbers of x86-64, or of aarch64 there. */
export const OpenFlags = {
  /** For reading. */
  O_RDONLY: 0,
  /** For writing. */
  O_WRONLY: 1,
  /** For both. */
  O_RDWR: 2,
  /** Create the file if it is missing. */
  O_CREAT: 0x40,
  /** With O_CREAT: it must be missing. */
  O_EXCL: 0x80,
  /** A terminal does not become the controlling one. */
  O_NOCTTY: 0x100,
  /** Cut the file to length 0. */
  O_TRUNC: 0x200,
  /** Every write goes to the end. */
  O_APPEND: 0x400,
  /** Neither the open nor reads and writes wait. */
  O_NONBLOCK: 0x800,
  /** Writes wait until the data is on the device. */
  O_DSYNC: 0x1000,
  /** Past the page cache; in a pipe: packets. */
  O_DIRECT: perArchitecture.direct,
  /** It must be a directory. */
  O_DIRECTORY: perArchitecture.directory,
  /** Fail on a symbolic link at the end of the path. */
  O_NOFOLLOW: perArchitecture.nofollow,
  /** Reads do not update the access time. */
  O_NOATIME: 0x40000,
  /** Closed by execve. */
  O_CLOEXEC: 0x80000,
  /** Writes wait until data and metadata are on the device. */
  O_SYNC: 0x101000,
  /** Only a reference to the place: no reading, no writing. */
  O_PATH: 0x200000,
  /** A file without a name in the given directory. */
  O_TMPFILE: 0x400000 | perArchitecture.directory,
} as const;

/** `openat2`, its rules of path resolution: openat2(2). */
export const Resolve = {
  /** Cross no mount point. */
  RESOLVE_NO_XDEV: 0x1,
  /** Follow no magic link, such as /proc/self/fd/3. */
  RESOLVE_NO_MAGICLINKS: 0x2,
  /** Follow no symbolic link at all. */
  RESOLVE_NO_SYMLINKS: 0x4,
  /** Never leave the directory: absolute paths and links fail. */
  RESOLVE_BENEATH: 0x8,
  /** The directory is the root, of '..' and absolute links too. */
  RESOLVE_IN_ROOT: 0x10,
  /** Only what is in the kernel's cache, else EAGAIN (Linux 5.12). */
  RESOLVE_CACHED: 0x20,
} as const;

export * from './processConstants.js';
