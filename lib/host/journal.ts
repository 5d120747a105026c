import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ContainerError, codeOf, PermissionError } from '../errors.js';
import { lockByte } from '../sys/index.js';
import { makePrivateDirectory, stateDirectory } from './stateDir.js';

/** How an entry of a journal lies in its file (native/protocol.h, JournalEntry). */
export const journalLayout = {
  magic: 0x314a4652,
  entryBytes: 1024,
  pathSizeAt: 4,
  pathCrcAt: 8,
  madeCrcAt: 12,
  inodeAt: 16,
  devMajorAt: 24,
  devMinorAt: 28,
  pathAt: 32,
} as const;

/** Which directory a path was, when its launcher had made it. */
export interface Identity {
  inode: bigint;
  /** As st_dev of stat(2) has it. */
  device: bigint;
}

/** A cgroup that a launcher was about to make, or has made. */
export interface JournalEntry {
  path: string;
  /** Absent when it is not known whether it was made. */
  made?: Identity;
}

/** st_dev of a device's two numbers: makedev(3). */
function makedev(major: bigint, minor: bigint): bigint {
  return (
    ((major & ~0xfffn) << 32n) |
    ((major & 0xfffn) << 8n) |
    ((minor & ~0xffn) << 12n) |
    (minor & 0xffn)
  );
}

function readEntry(bytes: Buffer): JournalEntry | undefined {
  const at = journalLayout;
  if (bytes.length < at.pathAt || bytes.readUInt32LE(0) !== at.magic) return undefined;
  const path = bytes.subarray(at.pathAt, at.pathAt + bytes.readUInt32LE(at.pathSizeAt));
  const crc = crc32(path);
  if (crc !== bytes.readUInt32LE(at.pathCrcAt)) return undefined;
  const inode = bytes.readBigUInt64LE(at.inodeAt);
  const made = crc32(bytes.subarray(at.inodeAt, at.pathAt), crc);
  if (inode === 0n || made !== bytes.readUInt32LE(at.madeCrcAt)) return { path: path.toString() };
  const major = BigInt(bytes.readUInt32LE(at.devMajorAt));
  const minor = BigInt(bytes.readUInt32LE(at.devMinorAt));
  return { path: path.toString(), made: { inode, device: makedev(major, minor) } };
}

/** The entries of a journal; what is torn, damaged or free is left out. */
export function readJournal(bytes: Buffer): JournalEntry[] {
  const entries: JournalEntry[] = [];
  for (let at = 0; at < bytes.length; at += journalLayout.entryBytes) {
    const entry = readEntry(bytes.subarray(at, at + journalLayout.entryBytes));
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** A launcher's journal, until the launcher has it. */
export interface Journal {
  /** Locked, close-on-exec. Whoever has it says by that that the journal is in use. */
  fd: number;
  path: string;
}

function failure(path: string, cause: unknown): ContainerError {
  const { errno, syscall, message } = cause as NodeJS.ErrnoException;
  return new ContainerError('ERR_JOURNAL', `${path}: the journal cannot be made: ${message}`, {
    phase: 'launcher',
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    path,
    hint: 'what a launcher makes is noted there first, so that the next start can remove it',
    cause,
  });
}

/**
 * Makes the directory of this user's journals, `journal` in `stateDirectory`.
 * @returns `undefined` for an ordinary user who has no place for one
 * @throws PermissionError `ERR_STATE_DIR`, `ERR_NO_RUNTIME_DIR`, ContainerError `ERR_JOURNAL` when it
 * cannot be made
 */
export function journalDirectory(privileged: boolean): string | undefined {
  const state = stateDirectory(privileged);
  if (state === undefined) return undefined;
  const path = join(state, 'journal');
  try {
    makePrivateDirectory(state);
    makePrivateDirectory(path);
    return path;
  } catch (error) {
    const noPlace = ['ERR_STATE_DIR', 'ERR_NO_RUNTIME_DIR'];
    if (!privileged && noPlace.includes(codeOf(error))) return undefined;
    throw error instanceof PermissionError ? error : failure(path, error);
  }
}

/**
 * Takes the lock of a journal, for a launcher that is to have it or to find out that its launcher
 * is dead.
 * @returns false when somebody has it
 */
export function lockJournal(fd: number): boolean {
  return lockByte(fd, 0);
}

/**
 * Makes an empty journal.
 * @throws ContainerError `ERR_JOURNAL`
 */
export function createJournal(directory: string): Journal {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  for (;;) {
    const path = join(directory, `${randomBytes(8).toString('hex')}.log`);
    let fd = -1;
    try {
      fd = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      // Before it was locked, somebody's sweep may have taken it for a dead launcher's.
      if (lockJournal(fd) && fstatSync(fd).nlink === 1) return { fd, path };
      closeSync(fd);
    } catch (error) {
      if (fd >= 0) discardJournal({ fd, path });
      throw failure(path, error);
    }
  }
}

/** Gives up a journal that no launcher has taken. */
export function discardJournal({ fd, path }: Journal): void {
  try {
    unlinkSync(path);
  } catch {
    // Its launcher, or a sweep, was faster.
  }
  closeSync(fd);
}
