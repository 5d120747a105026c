import type { ReadStream, WriteStream } from 'node:fs';
import { close } from '../sys/files.js';
import type { FileAgent } from './agent.js';
import { dataBytes, type FileData, fdCalls, readToEnd, writeData } from './io.js';
import { modeBits } from './openFlags.js';
import { callError, type GuestPath } from './paths.js';
import { type FileOp, fileProtocol } from './protocol.js';
import { Stats } from './stats.js';
import { descriptorStreams, type ReadStreamOptions, type WriteStreamOptions } from './streams.js';
import { type Time, timeNumbers } from './time.js';

const EBADF = 9;

/** Options of reads and writes of whole files. */
export interface WholeFileOptions {
  encoding?: BufferEncoding | null | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * An open file of the guest, shaped like node:fs/promises' `FileHandle`. Its descriptor is a real
 * one: data goes between Node and the file at native speed. What changes owner, mode or times goes
 * through the container, with its ids.
 */
export class FileHandle {
  readonly #agent: FileAgent;
  readonly #path: GuestPath;
  readonly #expected: number;
  #fd: number;
  #pending = 0;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  /** @param size what the file's size was, bytes */
  constructor(agent: FileAgent, fd: number, path: GuestPath, size: number) {
    this.#agent = agent;
    this.#fd = fd;
    this.#path = path;
    this.#expected = size;
  }

  /** The descriptor; −1 once closed. */
  get fd(): number {
    return this.#fd;
  }

  /** Size when it was opened, bytes. */
  get openedSize(): number {
    return this.#expected;
  }

  /** A descriptor must not be closed, and its number used again, under a running call. */
  async #use<T>(syscall: string, body: (fd: number) => Promise<T>): Promise<T> {
    if (this.#fd < 0 || this.#closing !== undefined) throw callError(EBADF, { syscall });
    this.#pending++;
    try {
      return await body(this.#fd);
    } finally {
      if (--this.#pending === 0) this.#idle?.();
    }
  }

  #ask(op: FileOp, syscall: string, numbers: readonly (number | bigint)[] = []) {
    return this.#use(syscall, (fd) => {
      const request = { dir: fileProtocol.passed, numbers };
      return this.#agent.call(op, request, { syscall, path: this.#path }, { fd });
    });
  }

  /** Reads up to `length` bytes at `position`, or (`null`) where the last read has ended. */
  read<B extends NodeJS.ArrayBufferView>(
    buffer: B,
    offset = 0,
    length = buffer.byteLength - offset,
    position: number | null = null,
  ): Promise<{ bytesRead: number; buffer: B }> {
    return this.#use('read', (fd) => fdCalls.read(fd, buffer, offset, length, position));
  }

  /** Writes; it may be less than all of it. Text is written as UTF-8. */
  write(
    data: string | NodeJS.ArrayBufferView,
    offset = 0,
    length?: number,
    position: number | null = null,
  ): Promise<{ bytesWritten: number; buffer: Uint8Array }> {
    const bytes = dataBytes(data);
    return this.#use('write', (fd) =>
      fdCalls.write(fd, bytes, offset, length ?? bytes.length - offset, position),
    );
  }

  /** From the current position to the end. */
  readFile(
    options: (WholeFileOptions & { encoding: BufferEncoding }) | BufferEncoding,
  ): Promise<string>;
  readFile(options?: WholeFileOptions): Promise<Buffer>;
  async readFile(options: WholeFileOptions | BufferEncoding = {}): Promise<string | Buffer> {
    const { encoding, signal } = typeof options === 'string' ? { encoding: options } : options;
    const bytes = await this.#use('read', (fd) => readToEnd(fd, this.#expected, { signal }));
    return encoding ? bytes.toString(encoding) : bytes;
  }

  /** At the current position; of what was there, nothing is cut off. */
  writeFile(data: FileData, options: WholeFileOptions | BufferEncoding = {}): Promise<void> {
    const { encoding, signal } = typeof options === 'string' ? { encoding: options } : options;
    return this.#use('write', (fd) => writeData(fd, data, encoding ?? 'utf8', signal));
  }

  /** As `writeFile`: where it is written is decided by the flags of the open. */
  appendFile(data: FileData, options: WholeFileOptions | BufferEncoding = {}): Promise<void> {
    return this.writeFile(data, options);
  }

  async stat(): Promise<Stats> {
    return new Stats((await this.#ask('stat', 'fstat')).data);
  }

  async chmod(mode: number | string): Promise<void> {
    await this.#ask('chmod', 'fchmod', [modeBits(mode, 0)]);
  }

  /** @param uid of the container, as `gid`; −1 leaves it */
  async chown(uid: number, gid: number): Promise<void> {
    await this.#ask('chown', 'fchown', [uid, gid]);
  }

  /** Seconds since the epoch, or `Date`s. */
  async utimes(atime: Time, mtime: Time): Promise<void> {
    await this.#ask('utimes', 'futime', timeNumbers(atime, mtime));
  }

  /** @param size bytes, 0 unless given */
  truncate(size = 0): Promise<void> {
    return this.#use('ftruncate', (fd) => fdCalls.ftruncate(fd, size));
  }

  sync(): Promise<void> {
    return this.#use('fsync', fdCalls.fsync);
  }

  datasync(): Promise<void> {
    return this.#use('fdatasync', fdCalls.fdatasync);
  }

  get #streams() {
    return descriptorStreams(this, (syscall, body) => this.#use(syscall, body));
  }

  /** A stream over this file; it closes the handle at its end unless `autoClose` is false. */
  createReadStream(options: ReadStreamOptions = {}): ReadStream {
    return this.#streams.read(options);
  }

  /** A stream into this file; it closes the handle at its end unless `autoClose` is false. */
  createWriteStream(options: WriteStreamOptions = {}): WriteStream {
    return this.#streams.write(options);
  }

  /**
   * Waits for calls under way, those of streams too, then closes. Idempotent. A stream that is not at its
   * end fails with EBADF at its next call.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#pending > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    const fd = this.#fd;
    this.#fd = -1;
    if (fd >= 0) close(fd);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
