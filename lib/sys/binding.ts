/**
 * The addon's side of `ringfort/sys` (native/addon/sys_*.cc). Every function makes one system call
 * and returns what it returned, or the negative errno; a wrong type is a TypeError. Typed arrays
 * are the kernel's structures: u64 or u32 words in the order of the man page.
 */
export interface SysBinding {
  unshare(flags: number): number;
  setns(fd: number, nstype: number): number;
  sethostname(name: string): number;
  setdomainname(name: string): number;

  mount(
    source: string | undefined,
    target: string,
    fstype: string | undefined,
    flags: number,
    data: string | undefined,
  ): number;
  umount2(target: string, flags: number): number;
  pivotRoot(newRoot: string, putOld: string): number;
  fsopen(fsname: string, flags: number): number;
  /** Refuses FSCONFIG_SET_BINARY, which has a function of its own. */
  fsconfig(
    fd: number,
    cmd: number,
    key: string | undefined,
    value: string | undefined,
    aux: number,
  ): number;
  fsconfigBinary(fd: number, key: string, value: Uint8Array): number;
  fsmount(fd: number, flags: number, attrFlags: number): number;
  moveMount(
    fromDirfd: number,
    fromPath: string,
    toDirfd: number,
    toPath: string,
    flags: number,
  ): number;
  openTree(dirfd: number, path: string, flags: number): number;
  /** attr: set, clear, propagation, user namespace descriptor. */
  mountSetattr(dirfd: number, path: string, flags: number, attr: BigUint64Array): number;

  pidfdOpen(pid: number, flags: number): number;
  pidfdSendSignal(pidfd: number, signal: number): number;
  prctl(option: number, arg2: bigint, arg3: bigint, arg4: bigint, arg5: bigint): number;
  /** data: effective, permitted, inheritable of the low 32 capabilities, then of the high ones. */
  capget(pid: number, data: Uint32Array): number;
  capset(data: Uint32Array): number;
  seccompSetModeFilter(flags: number, filter: Uint8Array): number;
  /** Each limit: soft, hard. */
  prlimit(
    pid: number,
    resource: number,
    fresh: BigUint64Array | undefined,
    old: BigUint64Array | undefined,
  ): number;
  landlockAbi(): number;

  openat(dirfd: number, path: string, flags: number): number;
  /** how: flags, mode, resolve. */
  openat2(dirfd: number, path: string, how: BigUint64Array): number;
  write(fd: number, data: Uint8Array): number;
  close(fd: number): number;
  memfdCreate(name: string, flags: number): number;
  lockByte(fd: number, offset: number): number;
  lockByteWait(fd: number, offset: number): number;
  isByteLocked(fd: number, offset: number): number;
  unlockByte(fd: number, offset: number): number;
  pipe2(flags: number, ends: Int32Array): number;
  socketpair(type: number, ends: Int32Array): number;
  listenAt(path: string, type: number, backlog: number): number;
  connectTo(path: string, type: number): number;
  statfs(path: string): number;
  fstatfs(fd: number): number;
  setBlocking(fd: number): number;
  setWindowSize(fd: number, rows: number, cols: number): number;
}
