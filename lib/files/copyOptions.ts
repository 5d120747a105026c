import { throwIfAborted } from '../abort.js';
import { SyscallError } from '../sys/error.js';

/** Options of `copyIn` and `copyOut`. */
export interface CopyOptions {
  /**
   * Owner of everything that is made. Default: in the container its root (0), on the host whoever
   * runs Node. On the host another owner needs root.
   */
  uid?: number | undefined;
  gid?: number | undefined;
  /** Keeps the source's numeric owners instead, as `docker cp -a`. */
  archive?: boolean | undefined;
  /**
   * Mode of files that are made; directories also get x where there is r. Default: the source's;
   * set-user-ID, set-group-ID and sticky bits never leave a container.
   */
  mode?: number | undefined;
  /** Stops at the next file or MiB with an AbortError, and removes what was begun. */
  signal?: AbortSignal | undefined;
  /** Most bytes of all files together, holes included: else EFBIG. Default: unlimited. */
  maxBytes?: number | undefined;
}

/** What was copied. */
export interface CopyResult {
  files: number;
  directories: number;
  /** Symbolic links. */
  symlinks: number;
  /** Of all files, holes included. */
  bytes: number;
  /** FIFOs, sockets and devices, which are left out; the first 100 of their names. */
  skipped: string[];
}

const EFBIG = 27;
const maxSkipped = 100;

/** Counts what is copied, and stops it where the caller said so. */
export class CopyCount {
  readonly result: CopyResult = { files: 0, directories: 0, symlinks: 0, bytes: 0, skipped: [] };
  readonly #options: CopyOptions;

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  /** @throws AbortError */
  check(): void {
    throwIfAborted(this.#options.signal);
  }

  /** @throws SyscallError EFBIG */
  bytes(count: number): void {
    this.result.bytes += count;
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    if (this.result.bytes > maxBytes) throw new SyscallError(EFBIG, 'copyfile');
  }

  skip(name: Buffer): void {
    const { skipped } = this.result;
    if (skipped.length < maxSkipped) skipped.push(name.toString());
  }
}

/** What is set on something that has been copied. */
export interface CopiedState {
  /** Permission bits, set-ID bits included. */
  mode: number;
  uid: number;
  gid: number;
  atimeNs: bigint;
  mtimeNs: bigint;
}

/** Mode of a file or directory that is made. */
export function copiedMode(from: number, isDirectory: boolean, options: CopyOptions): number {
  if (options.mode === undefined) return from & 0o7777;
  const mode = options.mode & 0o7777;
  return isDirectory ? mode | ((mode & 0o444) >> 2) : mode;
}

/** Files with more names than one that are remembered, so that the second becomes a link. */
const maxLinks = 100_000;

/** Where the first name of a file has been copied to, by who the file is. */
export class LinkTable {
  readonly #places = new Map<string, readonly Buffer[]>();

  /** Names from the copy's top down to it. */
  find(id: string): readonly Buffer[] | undefined {
    return this.#places.get(id);
  }

  add(id: string, names: readonly Buffer[]): void {
    // Deep ones would have to be remembered at length: they become files of their own.
    if (this.#places.size < maxLinks && names.length <= 32) this.#places.set(id, names);
  }
}
