import { constants } from 'node:fs';
import { ContainerError } from '../errors.js';

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK } = constants;

/** The questions that node:fs' `Stats` and `Dirent` both answer. */
abstract class Typed {
  protected abstract get type(): number;
  isFile(): boolean {
    return this.type === S_IFREG;
  }
  isDirectory(): boolean {
    return this.type === S_IFDIR;
  }
  isSymbolicLink(): boolean {
    return this.type === S_IFLNK;
  }
  isFIFO(): boolean {
    return this.type === S_IFIFO;
  }
  isSocket(): boolean {
    return this.type === S_IFSOCK;
  }
  isCharacterDevice(): boolean {
    return this.type === S_IFCHR;
  }
  isBlockDevice(): boolean {
    return this.type === S_IFBLK;
  }
}

/** Size of struct statx, bytes. */
export const statBytes = 256;

/** The error for an answer of the agent's that is not what it was asked for. */
export function malformed(what: string): ContainerError {
  return new ContainerError('ERR_FILE_AGENT', `the container's file agent has sent no ${what}`, {
    phase: 'process',
  });
}

/** A moment of statx(2), ns since the epoch. */
function moment(data: Buffer, at: number): bigint {
  return data.readBigInt64LE(at) * 1_000_000_000n + BigInt(data.readUInt32LE(at + 8));
}

/** A device number as makedev(3) makes it. */
function device(data: Buffer, at: number): number {
  const major = data.readUInt32LE(at);
  const minor = data.readUInt32LE(at + 4);
  return (major & 0xfff) * 256 + (minor & 0xff) + Math.floor(minor / 256) * 2 ** 20;
}

/**
 * A file's state, with the fields of node:fs' `Stats`. Owners are ids of the container. Times are
 * ms since the epoch (`mtimeMs`), `Date`s (`mtime`) and ns (`mtimeNs`).
 */
export class Stats extends Typed {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  /** Bytes. */
  readonly size: number;
  /** Bytes. */
  readonly blksize: number;
  /** Of 512 bytes. */
  readonly blocks: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthtimeNs: bigint;
  /** Tells two files of the container apart, where a number of 53 bits might not. */
  readonly id: string;

  /**
   * @param data struct statx, as the agent sends it
   * @throws ContainerError `ERR_FILE_AGENT` for what is none
   */
  constructor(data: Buffer) {
    super();
    if (data.length < statBytes) throw malformed('state of a file');
    this.blksize = data.readUInt32LE(4);
    this.nlink = data.readUInt32LE(16);
    this.uid = data.readUInt32LE(20);
    this.gid = data.readUInt32LE(24);
    this.mode = data.readUInt16LE(28);
    const ino = data.readBigUInt64LE(32);
    this.ino = Number(ino);
    this.size = Number(data.readBigUInt64LE(40));
    this.blocks = Number(data.readBigUInt64LE(48));
    this.atimeNs = moment(data, 64);
    this.birthtimeNs = moment(data, 80);
    this.ctimeNs = moment(data, 96);
    this.mtimeNs = moment(data, 112);
    this.rdev = device(data, 128);
    this.dev = device(data, 136);
    this.id = `${this.dev}:${ino}`;
  }

  protected get type(): number {
    return this.mode & S_IFMT;
  }
  get atimeMs(): number {
    return Number(this.atimeNs) / 1e6;
  }
  get mtimeMs(): number {
    return Number(this.mtimeNs) / 1e6;
  }
  get ctimeMs(): number {
    return Number(this.ctimeNs) / 1e6;
  }
  get birthtimeMs(): number {
    return Number(this.birthtimeNs) / 1e6;
  }
  get atime(): Date {
    return new Date(this.atimeMs);
  }
  get mtime(): Date {
    return new Date(this.mtimeMs);
  }
  get ctime(): Date {
    return new Date(this.ctimeMs);
  }
  get birthtime(): Date {
    return new Date(this.birthtimeMs);
  }
}

/** One entry of a directory, as the kernel lists it. */
export interface RawEntry {
  name: Buffer;
  /** `S_IF…`; 0 where the file system does not say. */
  type: number;
  /** Where the listing goes on after this entry. */
  next: bigint;
}

/** Offset of the name in an entry. */
const nameAt = 19;

/**
 * Entries of getdents64(2), without `.` and `..`.
 * @throws ContainerError `ERR_FILE_AGENT` for what is no list of them
 */
export function decodeEntries(data: Buffer): RawEntry[] {
  const entries: RawEntry[] = [];
  for (let at = 0; at < data.length; ) {
    const size = at + nameAt < data.length ? data.readUInt16LE(at + 16) : 0;
    const end = data.indexOf(0, at + nameAt);
    if (end <= at + nameAt || end >= at + size || at + size > data.length)
      throw malformed('list of entries');
    const name = data.subarray(at + nameAt, end);
    const dots = name.length <= 2 && name.every((byte) => byte === 0x2e);
    // DT_* are the S_IF* shifted.
    if (!dots) {
      const type = data.readUInt8(at + 18) << 12;
      entries.push({ name: Buffer.from(name), type, next: data.readBigInt64LE(at + 8) });
    }
    at += size;
  }
  return entries;
}

/** One entry of a directory, with the fields of node:fs' `Dirent`. */
export class Dirent extends Typed {
  /** In the encoding that was asked for: text for UTF-8. */
  readonly name: string;
  /** Path of the directory, as it was asked for. */
  readonly parentPath: string;
  protected readonly type: number;

  constructor(name: string, parentPath: string, type: number) {
    super();
    this.name = name;
    this.parentPath = parentPath;
    this.type = type;
    // Private as in node:fs: not listed.
    Object.defineProperty(this, 'type', { enumerable: false });
  }

  /** As `parentPath`, which older Node calls so. */
  get path(): string {
    return this.parentPath;
  }
}
