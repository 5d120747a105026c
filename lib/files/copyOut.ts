import { constants } from 'node:fs';
import { stat } from 'node:fs/promises';
import { codeOf } from '../errors.js';
import { close } from '../sys/files.js';
import type { FileAgent } from './agent.js';
import {
  type CopiedState,
  CopyCount,
  type CopyOptions,
  type CopyResult,
  copiedMode,
  LinkTable,
} from './copyOptions.js';
import { Directory } from './directory.js';
import { HeldPath, twice } from './held.js';
import { finishHandle, HostDirectory, temporaryName } from './hostDirectory.js';
import { removeHostTree } from './hostWalk.js';
import { copyData } from './io.js';
import { callError, type GuestPath, pathBytes } from './paths.js';
import { meansTarget, type Placement, placement } from './placement.js';
import { type FileRequest, fileProtocol } from './protocol.js';
import { Stats } from './stats.js';
import { walk } from './walk.js';

const { noFollow, noSymlinks } = fileProtocol;
const { S_IFREG, S_IFLNK, O_RDONLY } = constants;
const ENOTDIR = 20;
const ENXIO = 6;
const ENOENT = 2;
/** What a call says of a name that a guest has removed, or put something else behind. */
const changed = new Set(['ENOENT', 'ELOOP', 'ENXIO', 'EISDIR', 'EINVAL', 'ENOTDIR']);

/** A name of the guest that is copied: in a held directory, or (at the top) by its path. */
type GuestName = Pick<FileRequest, 'dir' | 'path' | 'flags'>;

/** Makes something under a name; what has the name already is replaced at once, never followed. */
async function replace(
  host: HostDirectory,
  name: Buffer,
  make: (name: Buffer) => Promise<void>,
): Promise<void> {
  try {
    return await make(name);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  const temporary = temporaryName();
  await make(temporary);
  try {
    await host.rename(temporary, name);
  } catch (error) {
    await host.unlink(temporary);
    throw error;
  }
  // Between two names of one file rename(2) does nothing.
  await host.unlink(temporary).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
  });
}

/** One copy out of a container. */
class CopyOut {
  readonly count: CopyCount;
  readonly #agent: FileAgent;
  readonly #source: GuestPath;
  readonly #options: CopyOptions;
  readonly #links = new LinkTable();

  constructor(agent: FileAgent, source: GuestPath, options: CopyOptions) {
    this.#agent = agent;
    this.#source = source;
    this.#options = options;
    this.count = new CopyCount(options);
  }

  get #about() {
    return { syscall: 'copyfile', path: this.#source };
  }

  #call(op: 'open' | 'stat' | 'readlink', request: FileRequest) {
    return this.#agent.call(op, request, this.#about, {
      signal: this.#options.signal,
      begun: true,
    });
  }

  async stat(name: GuestName): Promise<Stats> {
    return new Stats((await this.#call('stat', name)).data);
  }

  /** What the copy is given of a file of the guest. Its set-ID bits would be ours out here. */
  #state(stats: Stats): CopiedState {
    const { uid, gid, archive = false } = this.#options;
    return {
      mode: copiedMode(stats.mode, stats.isDirectory(), this.#options) & 0o777,
      uid: uid ?? (archive ? stats.uid : (process.geteuid?.() ?? 0)),
      gid: gid ?? (archive ? stats.gid : (process.getegid?.() ?? 0)),
      atimeNs: stats.atimeNs,
      mtimeNs: stats.mtimeNs,
    };
  }

  /** What a call on a name of the guest gives; undefined when the guest has changed it meanwhile. */
  async #unchanged<T>(done: Promise<T>): Promise<T | undefined> {
    try {
      return await done;
    } catch (error) {
      if (changed.has(codeOf(error))) return undefined;
      throw error;
    }
  }

  /** A file. False when it is none any more. */
  async file(from: GuestName, host: HostDirectory, name: Buffer): Promise<boolean> {
    this.count.check();
    const request = { ...from, numbers: [O_RDONLY, 0] };
    const opened = await this.#unchanged(this.#call('open', request));
    if (opened === undefined) return false;
    try {
      const state = this.#state(new Stats(opened.data));
      await replace(host, name, (at) => this.#write(opened.fd, host, at, state));
    } finally {
      close(opened.fd);
    }
    this.count.result.files++;
    return true;
  }

  async #write(fd: number, host: HostDirectory, name: Buffer, state: CopiedState): Promise<void> {
    const { signal } = this.#options;
    const file = await host.create(name);
    try {
      await copyData(fd, file.fd, { signal, count: (bytes) => this.count.bytes(bytes) });
      await finishHandle(file, state);
    } catch (error) {
      await host.unlink(name);
      throw error;
    } finally {
      await file.close();
    }
  }

  /** A symbolic link. False when it is none any more. */
  async symlink(from: GuestName, host: HostDirectory, name: Buffer): Promise<boolean> {
    this.count.check();
    const stats = await this.#unchanged(this.stat(from));
    const target = await this.#unchanged(this.#call('readlink', from));
    if (stats === undefined || target === undefined) return false;
    await replace(host, name, async (at) => {
      await host.symlink(target.data, at);
      try {
        await host.finishLink(at, this.#state(stats));
      } catch (error) {
        await host.unlink(at);
        throw error;
      }
    });
    this.count.result.symlinks++;
    return true;
  }

  /** Everything in the source into `into`; `into` and its second descriptor `root` are closed. */
  async tree(from: GuestName, into: HostDirectory, root: HostDirectory, fresh: boolean) {
    const path = new HeldPath(into);
    const names: Buffer[] = [];
    const { signal } = this.#options;
    const context = { agent: this.#agent, about: this.#about, signal, begun: true };
    try {
      const top = await Directory.open(context, from);
      const states = [fresh ? this.#state(top.stats) : undefined];
      for await (const visit of walk(top)) {
        this.count.check();
        const { name } = visit;
        if (visit.kind === 'leave') {
          names.pop();
          const host = await path.pop();
          await finish(host, states.pop());
        } else if (visit.kind === 'enter') {
          const made = await this.#enter(path.last, name);
          path.push(made.host);
          names.push(name);
          states.push(made.fresh ? this.#state(visit.directory.stats) : undefined);
        } else {
          await this.#member(visit.parent, name, visit.type, path.last, root, names);
        }
      }
      await finish(path.last, states[0], false);
    } finally {
      path.close();
      root.close();
    }
  }

  /** The copy's directory of that name; one that is there already stays as it is. */
  async #enter(parent: HostDirectory, name: Buffer) {
    let fresh = true;
    try {
      await parent.mkdir(name);
      this.count.result.directories++;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      fresh = false;
    }
    return { host: await parent.enter(name), fresh };
  }

  async #member(
    parent: Directory,
    name: Buffer,
    type: number,
    host: HostDirectory,
    root: HostDirectory,
    names: readonly Buffer[],
  ): Promise<void> {
    const from = { dir: parent.handle, path: name, flags: noFollow | noSymlinks };
    if (type === S_IFLNK && (await this.symlink(from, host, name))) return;
    if (type !== S_IFREG) return this.count.skip(name);
    const stats = await this.#unchanged(this.stat(from));
    const id = stats !== undefined && stats.nlink > 1 ? stats.id : undefined;
    const first = id === undefined ? undefined : this.#links.find(id);
    if (first !== undefined && (await linkTo(root, first, host, name))) {
      this.count.result.files++;
    } else if (!(await this.file(from, host, name))) {
      this.count.skip(name);
    } else if (id !== undefined) {
      this.#links.add(id, [...names, name]);
    }
  }
}

async function finish(host: HostDirectory, state?: CopiedState, closing = true): Promise<void> {
  try {
    if (state !== undefined) await host.finish(state);
  } finally {
    if (closing) host.close();
  }
}

/** Links a file of the copy once more. False when that cannot be: then it is copied again. */
async function linkTo(
  root: HostDirectory,
  first: readonly Buffer[],
  host: HostDirectory,
  name: Buffer,
): Promise<boolean> {
  const opened: HostDirectory[] = [];
  let at = root;
  try {
    for (const step of first.slice(0, -1)) {
      at = await at.enter(step);
      opened.push(at);
    }
    const source = first.at(-1) as Buffer;
    await replace(host, name, (to) => host.link(at, source, to));
    return true;
  } catch {
    return false;
  } finally {
    for (const directory of opened) directory.close();
  }
}

async function lookAt(path: string): Promise<'directory' | 'other' | 'nothing'> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'other';
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return 'nothing';
  }
}

/** A tree under a new name: it is there when it is complete, or not at all. */
async function copyNamed(copy: CopyOut, from: GuestName, host: HostDirectory, name: Buffer) {
  if (await exists(host, name))
    return copy.tree(from, ...(await twice(() => host.enter(name))), false);
  const temporary = temporaryName();
  await host.mkdir(temporary);
  try {
    copy.count.result.directories++;
    await copy.tree(from, ...(await twice(() => host.enter(temporary))), true);
    await host.rename(temporary, name);
  } catch (error) {
    await removeHostTree(host, temporary).catch(() => {});
    throw error;
  }
}

async function exists(host: HostDirectory, name: Buffer): Promise<boolean> {
  try {
    await host.lstat(name);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return false;
  }
}

/**
 * Copies a file or a tree out of a container, with mode and times. Where it goes is as with
 * `docker cp`: into `destination` if that is a directory, else under that name; a source that ends
 * in `/.` means what is in it. Symbolic links are copied as such, hard links of a tree as such
 * where that is simple; FIFOs, sockets and devices are left out. No name that comes from the guest
 * is ever followed on the host.
 * @param source in the container
 * @param destination on the host; its directory must be there
 * @throws SyscallError as node:fs; ContainerGoneError; AbortError
 */
export function copyOut(
  agent: FileAgent,
  source: GuestPath,
  destination: string,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const work = () => copyFrom(agent, source, destination, options);
  return agent.inTurn('trees', work, options.signal);
}

async function copyFrom(
  agent: FileAgent,
  source: GuestPath,
  destination: string,
  options: CopyOptions,
): Promise<CopyResult> {
  const copy = new CopyOut(agent, source, options);
  const path = pathBytes(source, 'copyfile');
  const text = Buffer.from(path).toString('latin1');
  const flags = meansTarget(text) ? 0 : noFollow;
  const stats = await copy.stat({ path, flags });
  const isDirectory = stats.isDirectory();
  const about = { syscall: 'copyfile', path: source, dest: destination };
  if (!isDirectory && !stats.isFile() && !stats.isSymbolicLink()) throw callError(ENXIO, about);
  const ends = { source: text, isDirectory, destination, found: await lookAt(destination) };
  const place: Placement | undefined = placement(ends);
  if (place === undefined) throw callError(ENOTDIR, about);
  const host = await HostDirectory.open('into' in place ? place.into : place.parent);
  try {
    const from = { path, flags };
    if ('into' in place) {
      await copy.tree(from, ...(await twice(() => HostDirectory.open(place.into))), false);
    } else {
      const name = hostName(place.name, ends.found);
      if (isDirectory) await copyNamed(copy, from, host, name);
      else if (!(await copy[stats.isFile() ? 'file' : 'symlink'](from, host, name)))
        throw callError(ENOENT, about);
    }
  } finally {
    host.close();
  }
  return copy.count.result;
}

/** The guest's own name came as bytes, the destination's as text. */
function hostName(name: string, found: string): Buffer {
  return Buffer.from(name, found === 'directory' ? 'latin1' : 'utf8');
}
