import type { CallOptions, FileAgent } from './agent.js';
import type { Held } from './held.js';
import { type About, callError } from './paths.js';
import { type DirHandle, type FileRequest, fileProtocol } from './protocol.js';
import { decodeEntries, type RawEntry, Stats, statBytes } from './stats.js';

/** Most bytes of one page of a listing. */
const pageBytes = 32 * 1024;
const ESTALE = 116;

/** What the calls on a directory are about. */
export interface DirectoryContext extends Pick<CallOptions, 'signal' | 'begun' | 'unheard'> {
  agent: FileAgent;
  about: About;
}

/** A directory of the guest that is held open: names in it cannot be made to mean another's. */
export class Directory implements Held<Directory> {
  readonly #context: DirectoryContext;
  /** In reverse order. */
  #page: RawEntry[];
  #last: boolean;

  private constructor(
    context: DirectoryContext,
    /** Number of the handle. */
    readonly handle: DirHandle,
    readonly stats: Stats,
    page: RawEntry[],
    last: boolean,
  ) {
    this.#context = context;
    this.#page = page.reverse();
    this.#last = last;
  }

  get id(): string {
    return this.stats.id;
  }

  /**
   * Opens a directory and reads the first page of its entries.
   * @param from where the listing starts (`RawEntry.next`)
   */
  static async open(
    context: DirectoryContext,
    request: Pick<FileRequest, 'dir' | 'path' | 'flags'>,
    from = 0n,
  ): Promise<Directory> {
    const { agent, about, ...options } = context;
    const numbers = [from, pageBytes];
    const answer = await agent.call('openDir', { ...request, numbers }, about, options);
    const entries = decodeEntries(answer.data.subarray(statBytes));
    return new Directory(context, answer.value, new Stats(answer.data), entries, answer.last);
  }

  /** A directory in this one; a symbolic link of the name is ENOTDIR or ELOOP. */
  enter(name: Uint8Array): Promise<Directory> {
    const flags = fileProtocol.noFollow | fileProtocol.noSymlinks;
    return Directory.open(this.#context, { dir: this.handle, path: name, flags });
  }

  /** The directory that this one lies in; ESTALE when that has changed. */
  async parent(id: string, from: bigint): Promise<Directory> {
    const request = { dir: this.handle, path: Buffer.from('..') };
    const found = await Directory.open(this.#context, request, from);
    if (found.id === id) return found;
    found.close();
    throw callError(ESTALE, this.#context.about);
  }

  /** The next entry; `undefined` at the end. Their order is the file system's. */
  async next(): Promise<RawEntry | undefined> {
    const { agent, about, ...options } = this.#context;
    while (this.#page.length === 0 && !this.#last) {
      const request = { dir: this.handle, numbers: [-1, pageBytes] };
      const answer = await agent.call('readdir', request, about, options);
      this.#page = decodeEntries(answer.data).reverse();
      this.#last = answer.last;
    }
    return this.#page.pop();
  }

  /** State of an entry, of a symbolic link itself. */
  async lstat(name: Uint8Array): Promise<Stats> {
    const { agent, about, ...options } = this.#context;
    const request = { dir: this.handle, path: name, flags: fileProtocol.noFollow };
    return new Stats((await agent.call('stat', request, about, options)).data);
  }

  /** Closes the handle; nothing waits for it. */
  close(): void {
    const { agent } = this.#context;
    const options = { unheard: true };
    agent.call('closeDir', { dir: this.handle }, { syscall: 'close' }, options).catch(() => {});
  }
}
