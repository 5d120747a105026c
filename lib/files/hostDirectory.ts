import { randomBytes } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import * as fsp from 'node:fs/promises';
import { SyscallError } from '../sys/error.js';
import type { CopiedState } from './copyOptions.js';
import type { Held } from './held.js';
import { callError } from './paths.js';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
/** open(2): a descriptor of what may not be read either; the same on x86_64 and aarch64. */
const O_PATH = 0x200000;
const ESTALE = 116;
const EINVAL = 22;

/** A name beside which nothing of a guest's can lie in wait, for as long as it takes. */
export function temporaryName(): Buffer {
  return Buffer.from(`.ringfort-${randomBytes(8).toString('hex')}`);
}

/** One plain name: it cannot lead anywhere else. */
function plain(name: Buffer): Buffer {
  const text = name.toString('latin1');
  if (text === '' || text === '.' || text === '..' || /[/\0]/.test(text))
    throw new SyscallError(EINVAL, 'open', { path: text });
  return name;
}

/**
 * A directory of the host that is held open. Everything is done to single names in it, through
 * /proc/self/fd, and no link at such a name is followed: whoever can write there (a guest, where
 * the directory is shared) cannot lead us out of it.
 */
export class HostDirectory implements Held<HostDirectory> {
  readonly #handle: fsp.FileHandle;
  readonly #stats: BigIntStats;
  /** For errors; what lies very deep is named by where that begins. */
  readonly #label: string;

  private constructor(handle: fsp.FileHandle, stats: BigIntStats, label: string) {
    this.#handle = handle;
    this.#stats = stats;
    this.#label = label;
  }

  /** Opens a directory that the caller named; links on the way are followed. */
  static async open(path: string | Buffer, flags = 0, label?: string): Promise<HostDirectory> {
    const handle = await fsp.open(path, O_RDONLY | O_DIRECTORY | flags);
    try {
      const stats = await handle.stat({ bigint: true });
      return new HostDirectory(handle, stats, label ?? path.toString());
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get id(): string {
    return `${this.#stats.dev}:${this.#stats.ino}`;
  }

  get stats(): BigIntStats {
    return this.#stats;
  }

  #at(name: Buffer): Buffer {
    return Buffer.concat([Buffer.from(`/proc/self/fd/${this.#handle.fd}/`), plain(name)]);
  }

  #labelOf(name: Buffer): string {
    return this.#label.length > 1000 ? this.#label : `${this.#label}/${name}`;
  }

  /** An error about the name as the caller knows it, not about /proc/self/fd. */
  async #named<T>(name: Buffer, done: Promise<T>): Promise<T> {
    try {
      return await done;
    } catch (error) {
      const { errno, syscall } = error as NodeJS.ErrnoException;
      if (errno === undefined || syscall === undefined) throw error;
      throw new SyscallError(errno, syscall, { path: this.#labelOf(name) });
    }
  }

  enter(name: Buffer): Promise<HostDirectory> {
    const label = this.#labelOf(name);
    return this.#named(name, HostDirectory.open(this.#at(name), O_NOFOLLOW, label));
  }

  /** Lets the owner of a directory list it and remove what is in it; a link of the name is none. */
  async unlock(name: Buffer): Promise<void> {
    const flags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
    const handle = await this.#named(name, fsp.open(this.#at(name), flags));
    try {
      await this.#named(name, fsp.chmod(`/proc/self/fd/${handle.fd}`, 0o700));
    } finally {
      await handle.close();
    }
  }

  async parent(id: string): Promise<HostDirectory> {
    const path = Buffer.from(`/proc/self/fd/${this.#handle.fd}/..`);
    const label = this.#label.length > 1000 ? this.#label : this.#label.replace(/\/[^/]*$/, '');
    const found = await HostDirectory.open(path, 0, label);
    if (found.id === id) return found;
    found.close();
    throw callError(ESTALE, { syscall: 'open', path: this.#label });
  }

  /** All names, as bytes. */
  list(): Promise<Buffer[]> {
    return fsp.readdir(`/proc/self/fd/${this.#handle.fd}`, { encoding: 'buffer' });
  }

  lstat(name: Buffer): Promise<BigIntStats> {
    return this.#named(name, fsp.lstat(this.#at(name), { bigint: true }));
  }

  /** Opens what should be a regular file; nothing waits, whatever it is. */
  openFile(name: Buffer): Promise<fsp.FileHandle> {
    return this.#named(name, fsp.open(this.#at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  }

  /** A new file, for nobody else to read yet. */
  create(name: Buffer): Promise<fsp.FileHandle> {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    return this.#named(name, fsp.open(this.#at(name), flags, 0o600));
  }

  async mkdir(name: Buffer): Promise<void> {
    await this.#named(name, fsp.mkdir(this.#at(name), 0o700));
  }

  symlink(target: Buffer, name: Buffer): Promise<void> {
    return this.#named(name, fsp.symlink(target, this.#at(name)));
  }

  readlink(name: Buffer): Promise<Buffer> {
    return this.#named(name, fsp.readlink(this.#at(name), { encoding: 'buffer' }));
  }

  /** Gives a file in `from` another name here; a symbolic link is linked itself (link(2)). */
  link(from: HostDirectory, name: Buffer, to: Buffer): Promise<void> {
    return this.#named(to, fsp.link(from.#at(name), this.#at(to)));
  }

  rename(from: Buffer, to: Buffer): Promise<void> {
    return this.#named(to, fsp.rename(this.#at(from), this.#at(to)));
  }

  unlink(name: Buffer): Promise<void> {
    return this.#named(name, fsp.unlink(this.#at(name)));
  }

  rmdir(name: Buffer): Promise<void> {
    return this.#named(name, fsp.rmdir(this.#at(name)));
  }

  /** Owner and times of a symbolic link. */
  async finishLink(name: Buffer, state: CopiedState): Promise<void> {
    const at = this.#at(name);
    if (mustChown(state, await this.lstat(name)))
      await this.#named(name, fsp.lchown(at, state.uid, state.gid));
    await this.#named(name, fsp.lutimes(at, seconds(state.atimeNs), seconds(state.mtimeNs)));
  }

  /** Owner, mode and times of this directory. */
  finish(state: CopiedState): Promise<void> {
    return finishHandle(this.#handle, state);
  }

  close(): void {
    this.#handle.close().catch(() => {});
  }
}

function seconds(ns: bigint): number {
  return Number(ns) / 1e9;
}

function mustChown({ uid, gid }: CopiedState, is: BigIntStats): boolean {
  return BigInt(uid) !== is.uid || BigInt(gid) !== is.gid;
}

/** Owner, mode and times of something that is open; in this order, because chown clears bits. */
export async function finishHandle(handle: fsp.FileHandle, state: CopiedState): Promise<void> {
  if (mustChown(state, await handle.stat({ bigint: true })))
    await handle.chown(state.uid, state.gid);
  await handle.chmod(state.mode);
  await handle.utimes(seconds(state.atimeNs), seconds(state.mtimeNs));
}
