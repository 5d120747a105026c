import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  lstatSync,
  mkdirSync,
  openSync,
  type Stats,
} from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { PermissionError } from '../errors.js';
import { lockByte, unlockByte } from '../sys/index.js';
import type { RangeLock } from './idPool.js';

/**
 * Byte locks on one file: the byte at offset n stands for the id range that starts at n. They are
 * open file description locks (fcntl(2), F_OFD_SETLK), so they belong to the descriptor, not to
 * the process: whoever has been handed it keeps them until the last one closes it.
 *
 * Only ranges with the same start collide: processes that share a machine should use the same
 * pool, or pools that do not overlap.
 */
export class IdLock implements RangeLock {
  /** Descriptor of the lock file, close-on-exec; pass it on to what must keep the ranges. */
  readonly fd: number;
  readonly #held = new Set<number>();

  /**
   * Opens the lock file, and makes it (0600) and its directory (0700) first where they are
   * missing.
   * @throws PermissionError `ERR_ID_LOCK` when it cannot be opened or others may write beside it
   */
  constructor(path: string) {
    try {
      makeDirectory(dirname(path));
      const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
      this.fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
      fchmodSync(this.fd, 0o600);
    } catch (cause) {
      if (cause instanceof PermissionError) throw cause;
      throw unusable(dirname(path), `the lock file cannot be opened: ${(cause as Error).message}`);
    }
  }

  /** False also for what this object has locked: to the kernel a descriptor never collides with itself. */
  lock(start: number): boolean {
    if (this.#held.has(start) || !lockByte(this.fd, start)) return false;
    this.#held.add(start);
    return true;
  }

  unlock(start: number): void {
    unlockByte(this.fd, start);
    this.#held.delete(start);
  }

  /** Gives up all locks, unless another process has been handed the descriptor. */
  close(): void {
    closeSync(this.fd);
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, 0o700);
    chmodSync(path, 0o700); // whatever the umask was
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const stats: Stats = lstatSync(path);
  const othersWrite = (stats.mode & 0o022) !== 0;
  if (!stats.isDirectory() || stats.uid !== process.geteuid?.() || othersWrite) {
    throw unusable(path, 'expected a directory of this user that nobody else may write to');
  }
}

function unusable(path: string, what: string): PermissionError {
  return new PermissionError('ERR_ID_LOCK', `${path}: ${what}`, {
    phase: 'idmap',
    path,
    hint: 'id ranges of containers are locked there, so that no two processes use the same one',
  });
}

/**
 * Where the lock file is: `/run/ringfort/ids.lock`, whose ranges are the machine's; for an
 * ordinary user below `XDG_RUNTIME_DIR`, or `undefined` without one.
 */
export function idLockPath(privileged: boolean): string | undefined {
  if (privileged) return '/run/ringfort/ids.lock';
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? '';
  return isAbsolute(runtime) ? join(runtime, 'ringfort', 'ids.lock') : undefined;
}

const opened = new Map<string, IdLock>();

/**
 * This process's lock file, opened on first use; `undefined` for an ordinary user who has no place
 * for one (an `XDG_RUNTIME_DIR` that is unset, gone or another user's, as after `su`).
 * @throws PermissionError `ERR_ID_LOCK` when root's cannot be used
 */
export function idLock(privileged: boolean): IdLock | undefined {
  const path = idLockPath(privileged);
  if (path === undefined) return undefined;
  let lock = opened.get(path);
  if (lock !== undefined) return lock;
  try {
    lock = new IdLock(path);
  } catch (error) {
    if (privileged) throw error;
    return undefined;
  }
  opened.set(path, lock);
  return lock;
}

/** Descriptor of `idLock`, for the launcher: the locks then last until both processes are gone. */
export function idLockFd(privileged: boolean): number | undefined {
  return idLock(privileged)?.fd;
}
