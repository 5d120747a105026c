import { fdatasync, fstat, fsync, ftruncate, read, write } from 'node:fs';
import { promisify } from 'node:util';
import { throwIfAborted } from '../abort.js';
import { codeOf } from '../errors.js';
import { loadBinding } from '../native/load.js';
import { invalidArgument } from './paths.js';

/** node:fs' calls on descriptors, as promises. */
export const fdCalls = {
  read: promisify(read),
  write: promisify(write),
  fstat: promisify(fstat),
  ftruncate: promisify(ftruncate),
  fsync: promisify(fsync),
  fdatasync: promisify(fdatasync),
};

/** What `writeFile` takes, as node:fs/promises does. */
export type FileData =
  | string
  | NodeJS.ArrayBufferView
  | Iterable<string | NodeJS.ArrayBufferView>
  | AsyncIterable<string | NodeJS.ArrayBufferView>;

const chunkBytes = 512 * 1024;
const copyBytes = 1024 * 1024;
/** As much as node:fs' readFile takes into memory, bytes. */
export const maxFileBytes = 2 ** 31 - 1;

/** A file is larger than what was asked to be read, in the shape of node:fs' error. */
function tooLarge(maxBytes: number): Error {
  const error = new RangeError(`File size is greater than ${maxBytes} bytes`);
  return Object.assign(error, { code: 'ERR_FS_FILE_TOO_LARGE' });
}

/**
 * Reads from a descriptor's position to the end, however long that proves to be.
 * @param size what to expect, bytes
 * @throws RangeError `ERR_FS_FILE_TOO_LARGE` beyond `maxBytes`
 */
export async function readToEnd(
  fd: number,
  size: number,
  { signal, maxBytes = maxFileBytes }: { signal?: AbortSignal | undefined; maxBytes?: number } = {},
): Promise<Buffer> {
  if (size > maxBytes) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    throwIfAborted(signal);
    // One byte more than expected, so that the end shows at once.
    const room = Math.min(chunkBytes, Math.max(size - total + 1, 8192));
    const buffer = Buffer.allocUnsafe(room);
    const { bytesRead } = await fdCalls.read(fd, buffer, 0, room, null);
    if (bytesRead === 0) return Buffer.concat(chunks, total);
    total += bytesRead;
    if (total > maxBytes) throw tooLarge(maxBytes);
    chunks.push(bytesRead === room ? buffer : buffer.subarray(0, bytesRead));
  }
}

/** Bytes of a piece of data. */
export function dataBytes(data: unknown, encoding: BufferEncoding = 'utf8'): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, encoding);
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw invalidArgument('ERR_INVALID_ARG_TYPE', 'data: expected a string, a view or an iterable');
}

/** Writes all of it, at the descriptor's position or at `position`. */
export async function writeFully(
  fd: number,
  bytes: Uint8Array,
  position: number | null = null,
  signal?: AbortSignal,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    throwIfAborted(signal);
    const length = Math.min(bytes.length - done, copyBytes);
    const at = position === null ? null : position + done;
    done += (await fdCalls.write(fd, bytes, done, length, at)).bytesWritten;
  }
}

/** Writes a string, a view, or what an iterable or stream gives. */
export async function writeData(
  fd: number,
  data: FileData,
  encoding?: BufferEncoding,
  signal?: AbortSignal,
): Promise<void> {
  if (typeof data === 'string' || ArrayBuffer.isView(data)) {
    return writeFully(fd, dataBytes(data, encoding), null, signal);
  }
  for await (const piece of data) await writeFully(fd, dataBytes(piece, encoding), null, signal);
}

const zeros = Buffer.alloc(64 * 1024);

/** Whether there is nothing but zeros in it. */
function isHole(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const piece = bytes.subarray(at, at + zeros.length);
    if (!piece.equals(zeros.subarray(0, piece.length))) return false;
  }
  return true;
}

type Run = [start: number, end: number];

/** The rest of a file, wherever it ends. */
const rest = (at: number): Run => [at, Number.POSITIVE_INFINITY];

/** How to find the next run of data in a file at or after an offset; undefined at the end. */
async function finder(fd: number): Promise<(at: number) => Promise<Run | undefined>> {
  const { size, blocks } = await fdCalls.fstat(fd);
  // Also a file of a kernel interface, which tells no size.
  if (blocks * 512 >= size) return async (at) => rest(at);
  const { nextData } = loadBinding();
  return async (at) => {
    try {
      return await nextData(fd, at);
    } catch (error) {
      if (codeOf(error) !== 'EINVAL') throw error;
      return rest(at); // this file system cannot say
    }
  };
}

/**
 * Copies one open file into another that is empty. Holes stay holes, without being read, and blocks
 * of zeros become holes, so that a sparse file of a guest does not fill our disk.
 * @param count hears of bytes before they are written, and of those in holes; it may throw
 * @returns bytes, holes included
 */
export async function copyData(
  from: number,
  to: number,
  { signal, count }: { signal?: AbortSignal | undefined; count?: (bytes: number) => void } = {},
): Promise<number> {
  const next = await finder(from);
  const buffer = Buffer.allocUnsafe(copyBytes);
  let at = 0;
  let written = 0;
  const skipTo = (end: number) => {
    count?.(end - at);
    at = end;
  };
  for (let ended = false; !ended; ) {
    throwIfAborted(signal);
    const run = await next(at);
    if (run === undefined) {
      const { size } = await fdCalls.fstat(from);
      skipTo(Math.max(at, size));
      break;
    }
    const [start, end] = run;
    skipTo(start);
    while (at < end && !ended) {
      throwIfAborted(signal);
      const room = Math.min(copyBytes, end - at);
      const { bytesRead } = await fdCalls.read(from, buffer, 0, room, at);
      ended = bytesRead === 0;
      count?.(bytesRead);
      const bytes = buffer.subarray(0, bytesRead);
      const hole = isHole(bytes);
      if (!hole) await writeFully(to, bytes, at, signal);
      at += bytesRead;
      if (!hole) written = at;
    }
  }
  if (at > written) await fdCalls.ftruncate(to, at);
  return at;
}
