import { constants } from 'node:os';
import { native, returned } from './call.js';
import { bytes, descriptor, directory, integer, natural, text, u32, u64 } from './check.js';
import { AT_FDCWD, MemfdFlags, OpenFlags, SocketType } from './constants.js';
import { SyscallError } from './error.js';

/** How `openat2` opens: struct open_how. */
export interface OpenHow {
  /** `OpenFlags`, or-ed; O_CLOEXEC is always set. */
  flags: number;
  /** Permission bits of a file that O_CREAT or O_TMPFILE makes; must be 0 otherwise. Default 0. */
  mode?: number;
  /** `Resolve`, or-ed. Default 0. */
  resolve?: number | bigint;
}

/**
 * Opens a file with a rule for how its path may be resolved: openat2(2). Unlike open it refuses
 * flags that it does not know. Blocks as open does (a FIFO without O_NONBLOCK).
 * @param dirfd directory that the path is resolved from, or AT_FDCWD
 * @returns a descriptor
 * @throws SyscallError ELOOP or EXDEV when the path breaks the rule; EAGAIN when something was
 *   renamed meanwhile and the rule could not be checked: try again
 */
export function openat2(dirfd: number, path: string, how: OpenHow): number {
  const words = BigUint64Array.of(
    BigInt(natural('openat2.flags', how.flags) | OpenFlags.O_CLOEXEC),
    BigInt(u32('openat2.mode', how.mode ?? 0)),
    u64('openat2.resolve', how.resolve ?? 0),
  );
  const rc = native().openat2(directory('openat2.dirfd', dirfd), text('openat2.path', path), words);
  return returned(rc, 'openat2', { path });
}

const encoder = new TextEncoder();

/**
 * Writes to a file of cgroupfs, /proc and the like, where one write(2) is one command: an openat
 * with O_WRONLY, exactly one write, a close. Nothing is created or truncated.
 * @param dirfd directory that the path is resolved from; undefined or AT_FDCWD: the working
 *   directory
 * @param data text is written as UTF-8
 * @throws SyscallError from `openat`, `write` or `close`; a write that took only a part is EIO
 */
export function writeFile(
  dirfd: number | undefined,
  path: string,
  data: string | Uint8Array,
): void {
  const content = bytes('writeFile.data', typeof data === 'string' ? encoder.encode(data) : data);
  const call = native();
  const opened = call.openat(
    directory('writeFile.dirfd', dirfd ?? AT_FDCWD),
    text('writeFile.path', path),
    OpenFlags.O_WRONLY | OpenFlags.O_CLOEXEC,
  );
  const fd = returned(opened, 'openat', { path });
  const written = call.write(fd, content);
  const closed = call.close(fd);
  if (returned(written, 'write', { path }) < content.length) {
    throw new SyscallError(constants.errno.EIO, 'write', { path });
  }
  returned(closed, 'close', { path });
}

/**
 * Makes an anonymous file in memory: memfd_create(2).
 * @param name shown in /proc/pid/fd, at most 249 bytes
 * @param flags `MemfdFlags`, or-ed; MFD_CLOEXEC is always set
 * @returns a descriptor, open for reading and writing
 * @throws SyscallError
 */
export function memfdCreate(name: string, flags = 0): number {
  const rc = native().memfdCreate(
    text('memfdCreate.name', name),
    natural('memfdCreate.flags', flags) | MemfdFlags.MFD_CLOEXEC,
  );
  return returned(rc, 'memfd_create');
}

/**
 * Locks one byte of a file for this open file description alone: F_OFD_SETLK, fcntl_locking(2).
 * The lock is shared by all copies of the descriptor, in other processes too, and goes when the
 * last is closed. It is advisory, and the byte need not exist.
 * @param fd open for writing
 * @param offset of the byte
 * @param wait for whoever holds it: blocks the calling thread, and so the event loop
 * @returns false when it is held through another open file description (never with wait)
 * @throws SyscallError
 */
export function lockByte(fd: number, offset: number, wait = false): boolean {
  descriptor('lockByte.fd', fd);
  byteOffset('lockByte.offset', offset);
  const call = native();
  const rc = wait ? call.lockByteWait(fd, offset) : call.lockByte(fd, offset);
  // fcntl(2) leaves it to the file system which of the two says "held"
  if (!wait && (rc === -constants.errno.EAGAIN || rc === -constants.errno.EACCES)) return false;
  returned(rc, 'fcntl');
  return true;
}

/**
 * Whether one byte of a file is locked through another open file description: F_OFD_GETLK,
 * fcntl_locking(2). Only asks: unlike `lockByte`, it is in nobody's way meanwhile.
 * @throws SyscallError
 */
export function isByteLocked(fd: number, offset: number): boolean {
  const rc = native().isByteLocked(
    descriptor('isByteLocked.fd', fd),
    byteOffset('isByteLocked.offset', offset),
  );
  return returned(rc, 'fcntl') === 1;
}

/**
 * Gives up the lock of one byte: F_OFD_SETLK with F_UNLCK, fcntl_locking(2). Without effect when
 * it is not held.
 * @throws SyscallError
 */
export function unlockByte(fd: number, offset: number): void {
  const rc = native().unlockByte(
    descriptor('unlockByte.fd', fd),
    byteOffset('unlockByte.offset', offset),
  );
  returned(rc, 'fcntl');
}

function byteOffset(name: string, value: number): number {
  return integer(name, value, 0, Number.MAX_SAFE_INTEGER);
}

/**
 * Makes a pipe: pipe2(2).
 * @param flags O_NONBLOCK, O_DIRECT, or-ed; O_CLOEXEC is always set
 * @returns the reading and the writing end
 * @throws SyscallError
 */
export function pipe2(flags = 0): [read: number, write: number] {
  const ends = new Int32Array(2);
  const rc = native().pipe2(natural('pipe2.flags', flags) | OpenFlags.O_CLOEXEC, ends);
  returned(rc, 'pipe2');
  return [ends[0] ?? -1, ends[1] ?? -1];
}

/**
 * Makes a pair of connected sockets of AF_UNIX: socketpair(2).
 * @param type one of SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, or-ed with SOCK_NONBLOCK;
 *   SOCK_CLOEXEC is always set
 * @throws SyscallError
 */
export function socketpair(type: number): [number, number] {
  const ends = new Int32Array(2);
  const rc = native().socketpair(natural('socketpair.type', type) | SocketType.SOCK_CLOEXEC, ends);
  returned(rc, 'socketpair');
  return [ends[0] ?? -1, ends[1] ?? -1];
}

/**
 * Makes a socket of AF_UNIX that listens at a path: socket(2), bind(2), listen(2).
 * @param path must not exist; at most 107 bytes, see unix(7)
 * @param type one of SOCK_STREAM, SOCK_SEQPACKET, or-ed with SOCK_NONBLOCK; SOCK_CLOEXEC is always
 *   set
 * @param backlog connections that may wait to be accepted
 * @throws SyscallError
 */
export function listenAt(path: string, type: number, backlog: number): number {
  const rc = native().listenAt(
    text('listenAt.path', path),
    natural('listenAt.type', type) | SocketType.SOCK_CLOEXEC,
    integer('listenAt.backlog', backlog, 0, 0x7fffffff),
  );
  return returned(rc, 'bind', { path });
}

/**
 * Makes a socket of AF_UNIX and connects it: socket(2), connect(2).
 * @param type as for `listenAt`; with SOCK_NONBLOCK a full backlog is EAGAIN
 * @throws SyscallError ENOENT, ECONNREFUSED when nobody listens
 */
export function connectTo(path: string, type: number): number {
  const rc = native().connectTo(
    text('connectTo.path', path),
    natural('connectTo.type', type) | SocketType.SOCK_CLOEXEC,
  );
  return returned(rc, 'connect', { path });
}

/**
 * Says what kind of file system a file is on: f_type of statfs(2), or of fstatfs(2) for a
 * descriptor.
 * @returns the type's magic number, as in `FsMagic`
 * @throws SyscallError
 */
export function fstatfsMagic(file: string | number): number {
  if (typeof file === 'number') {
    return returned(native().fstatfs(descriptor('fstatfsMagic.file', file)), 'fstatfs');
  }
  return returned(native().statfs(text('fstatfsMagic.file', file)), 'statfs', { path: file });
}

/**
 * Takes O_NONBLOCK from an open file: F_GETFL and F_SETFL, fcntl(2). It counts for all copies of
 * the descriptor, in other processes too.
 * @throws SyscallError EBADF
 */
export function setBlocking(fd: number): void {
  returned(native().setBlocking(descriptor('setBlocking.fd', fd)), 'fcntl');
}

/**
 * Tells a terminal its size in characters: TIOCSWINSZ, ioctl_tty(2). Where it changes, the
 * processes in the terminal's foreground get SIGWINCH.
 * @param fd either side of the terminal
 * @throws SyscallError ENOTTY when it is none
 */
export function setWindowSize(fd: number, rows: number, cols: number): void {
  const rc = native().setWindowSize(
    descriptor('setWindowSize.fd', fd),
    integer('setWindowSize.rows', rows, 0, 0xffff),
    integer('setWindowSize.cols', cols, 0, 0xffff),
  );
  returned(rc, 'ioctl', { about: `TIOCSWINSZ ${rows}x${cols}` });
}

/**
 * Closes a descriptor: close(2). It is closed also when this throws.
 * @throws SyscallError EBADF when it was not open
 */
export function close(fd: number): void {
  returned(native().close(descriptor('close.fd', fd)), 'close');
}
