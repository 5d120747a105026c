import { constants } from 'node:fs';
import { codeOf } from '../errors.js';
import { close } from '../sys/files.js';
import type { FileAgent } from './agent.js';
import type { CopiedState, CopyCount } from './copyOptions.js';
import type { Directory } from './directory.js';
import { temporaryName } from './hostDirectory.js';
import { copyData } from './io.js';
import type { About } from './paths.js';
import { type DirHandle, type FileOp, type FileRequest, fileProtocol } from './protocol.js';
import { splitNs } from './time.js';

const { noFollow, noSymlinks, passed } = fileProtocol;
const { O_WRONLY, O_CREAT, O_EXCL } = constants;

/** Makes files of the guest: single names in held directories, none of them followed. */
export class GuestWriter {
  readonly #agent: FileAgent;
  readonly #about: About;
  readonly #count: CopyCount;
  readonly #signal: AbortSignal | undefined;

  constructor(agent: FileAgent, about: About, count: CopyCount, signal: AbortSignal | undefined) {
    this.#agent = agent;
    this.#about = about;
    this.#count = count;
    this.#signal = signal;
  }

  #call(op: FileOp, request: FileRequest, fd?: number) {
    // What an abort meets under way is made, and can be taken back then.
    const options = { signal: this.#signal, whole: true, begun: true, fd };
    return this.#agent.call(op, request, this.#about, options);
  }

  /** Makes something under a name; what has the name already is replaced at once. */
  async #replace(dir: DirHandle, name: Buffer, make: (name: Buffer) => Promise<unknown>) {
    try {
      await make(name);
      return;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    const temporary = temporaryName();
    await make(temporary);
    try {
      await this.#call('rename', { dir, path: temporary, dir2: dir, path2: name });
    } catch (error) {
      await this.#undo(dir, temporary);
      throw error;
    }
    // Between two names of one file rename(2) does nothing.
    await this.#undo(dir, temporary);
  }

  /** Even after an abort; whatever is there. */
  async #undo(dir: DirHandle, name: Buffer): Promise<void> {
    const request = { dir, path: name };
    await this.#agent.tidied((how) => this.#agent.call('unlink', request, this.#about, how));
  }

  /** A file with what `from` holds. */
  async file(dir: DirHandle, name: Buffer, from: number, state: CopiedState): Promise<void> {
    await this.#replace(dir, name, async (path) => {
      const numbers = [O_WRONLY | O_CREAT | O_EXCL, 0o600];
      const { fd } = await this.#call('open', { dir, path, numbers, flags: noFollow | noSymlinks });
      try {
        const count = (bytes: number) => this.#count.bytes(bytes);
        await copyData(from, fd, { signal: this.#signal, count });
        await this.#finish({ dir: passed }, state, fd);
      } catch (error) {
        await this.#undo(dir, path);
        throw error;
      } finally {
        close(fd);
      }
    });
  }

  async symlink(dir: DirHandle, name: Buffer, target: Buffer, state: CopiedState): Promise<void> {
    await this.#replace(dir, name, async (path) => {
      await this.#call('symlink', { dir, path, path2: target });
      const request = { dir, path, flags: noFollow | noSymlinks };
      try {
        await this.#call('chown', { ...request, numbers: [state.uid, state.gid] });
        await this.#call('utimes', { ...request, numbers: times(state) });
      } catch (error) {
        await this.#undo(dir, path);
        throw error;
      }
    });
  }

  /** Another name of a file of this copy. @param path from `root` down to it */
  async link(root: DirHandle, path: Buffer, dir: DirHandle, name: Buffer): Promise<void> {
    await this.#replace(dir, name, (path2) =>
      this.#call('link', { dir: root, path, dir2: dir, path2, flags: noSymlinks }),
    );
  }

  /** A directory; `fresh` is false when it was there. */
  async directory(
    parent: Directory,
    name: Buffer,
  ): Promise<{ directory: Directory; fresh: boolean }> {
    let fresh = true;
    try {
      await this.#call('mkdir', { dir: parent.handle, path: name, numbers: [0o700] });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      fresh = false;
    }
    return { directory: await parent.enter(name), fresh };
  }

  /** Owner, mode and times of a directory that is held. */
  async finish(directory: Directory, state: CopiedState): Promise<void> {
    await this.#finish({ dir: directory.handle }, state);
  }

  async #finish(request: FileRequest, state: CopiedState, fd?: number): Promise<void> {
    // In this order, because chown clears bits of the mode.
    await this.#call('chown', { ...request, numbers: [state.uid, state.gid] }, fd);
    await this.#call('chmod', { ...request, numbers: [state.mode] }, fd);
    await this.#call('utimes', { ...request, numbers: times(state) }, fd);
  }
}

function times({ atimeNs, mtimeNs }: CopiedState): bigint[] {
  return [...splitNs(atimeNs), ...splitNs(mtimeNs)];
}
