import { closeSync, constants, fchmodSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PermissionError } from '../errors.js';
import { lockByte, unlockByte } from '../sys/index.js';
import type { RangeLock } from './idPool.js';
import { makePrivateDirectory, stateDirectory } from './stateDir.js';

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
      makePrivateDirectory(dirname(path));
      const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
      this.fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
      fchmodSync(this.fd, 0o600);
    } catch (cause) {
      throw unusable(dirname(path), cause);
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

function unusable(path: string, cause: unknown): PermissionError {
  const { message } = cause as Error;
  const what = cause instanceof PermissionError ? message : `${path}: ${message}`;
  return new PermissionError('ERR_ID_LOCK', `the lock file cannot be opened: ${what}`, {
    phase: 'idmap',
    path,
    hint: 'id ranges of containers are locked there, so that no two processes use the same one',
    cause,
  });
}

const opened = new Map<string, IdLock>();

/** Where the lock file is; undefined for an ordinary user who has no place for it. */
export function idLockPath(privileged: boolean): string | undefined {
  const directory = stateDirectory(privileged);
  return directory === undefined ? undefined : join(directory, 'ids.lock');
}

/**
 * This process's lock file in `stateDirectory`, whose ranges are the machine's for root. Opened on
 * first use; `undefined` for an ordinary user who has no place
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
