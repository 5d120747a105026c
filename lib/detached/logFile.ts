import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { stateFile } from './stateDir.js';

/** What a log file begins with, and what stands before each record (native/protocol.h). */
export const logMagic = 0x314c4652;
export const logRecordSize = 13;
const headerSize = 8;

/** A record as it was written. */
export interface LogRecord {
  /** ns since the epoch. */
  time: bigint;
  /** 1 stdout, 2 stderr, 0: bytes that had to be dropped, as a u64. */
  stream: number;
  data: Buffer;
}

/** Records are at most 16 KiB: this always holds a whole one. */
const readSize = 64 << 10;

/** Takes the complete records out of what was read; a rest is one that is being written. */
function decode(bytes: Buffer): { records: LogRecord[]; size: number } {
  const records: LogRecord[] = [];
  let at = 0;
  while (at + logRecordSize <= bytes.length) {
    const end = at + logRecordSize + bytes.readUInt32LE(at + 9);
    if (end > bytes.length) break;
    records.push({
      time: bytes.readBigUInt64LE(at),
      stream: bytes.readUInt8(at + 8),
      data: bytes.subarray(at + logRecordSize, end),
    });
    at = end;
  }
  return { records, size: at };
}

/** One file of a log, open; it can be read on after it has been renamed or removed. */
export class LogFile {
  /** Files are numbered from 1 in the order that they were begun. */
  readonly sequence: number;
  readonly #handle: FileHandle;
  #position = headerSize;

  private constructor(handle: FileHandle, sequence: number) {
    this.#handle = handle;
    this.sequence = sequence;
  }

  /** @returns undefined when it is not there, or not yet begun */
  static async open(path: string): Promise<LogFile | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    let file: LogFile | undefined;
    try {
      const header = Buffer.alloc(headerSize);
      const { bytesRead } = await handle.read(header, 0, headerSize, 0);
      if (bytesRead === headerSize && header.readUInt32LE(0) === logMagic)
        file = new LogFile(handle, header.readUInt32LE(4));
    } finally {
      if (file === undefined) await handle.close();
    }
    return file;
  }

  /** The next records; none at the end of what is there. */
  async read(): Promise<LogRecord[]> {
    const buffer = Buffer.allocUnsafe(readSize);
    const { bytesRead } = await this.#handle.read(buffer, 0, readSize, this.#position);
    const { records, size } = decode(buffer.subarray(0, bytesRead));
    this.#position += size;
    return records;
  }

  /** Passes over everything that is there. */
  async skip(): Promise<void> {
    while ((await this.read()).length > 0);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Where the log of a container is. */
export interface LogPlace {
  dir: string;
  maxFiles: number;
}

/**
 * The oldest file that was begun after `sequence`. Files are looked at from the newest name to the
 * oldest: one that is renamed meanwhile is met again, not missed.
 */
export async function openAfter(
  { dir, maxFiles }: LogPlace,
  sequence: number,
): Promise<LogFile | undefined> {
  let found: LogFile | undefined;
  for (let index = 0; index < maxFiles; index++) {
    const name = index === 0 ? stateFile.log : `${stateFile.log}.${index}`;
    let file: LogFile | undefined;
    try {
      file = await LogFile.open(join(dir, name));
    } catch (error) {
      await found?.close();
      throw error;
    }
    if (file === undefined) continue;
    const better = file.sequence > sequence && file.sequence < (found?.sequence ?? Infinity);
    await (better ? found : file)?.close();
    if (better) found = file;
  }
  return found;
}

/** The file that is being written, at its end. */
export async function openAtEnd(place: LogPlace): Promise<LogFile | undefined> {
  let file = await openAfter(place, 0);
  try {
    for (let next = file; next !== undefined; next = await openAfter(place, next.sequence)) {
      if (next !== file) await file?.close();
      file = next;
    }
    await file?.skip();
    return file;
  } catch (error) {
    await file?.close();
    throw error;
  }
}
