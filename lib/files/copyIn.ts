import { type BigIntStats, constants } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { codeOf } from '../errors.js';
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
import { GuestWriter } from './guestWriter.js';
import { HeldPath, twice } from './held.js';
import { HostDirectory, temporaryName } from './hostDirectory.js';
import { hostWalk } from './hostWalk.js';
import { type About, callError, type GuestPath, joinPath, pathBytes } from './paths.js';
import { meansTarget, placement } from './placement.js';
import { fileProtocol } from './protocol.js';
import { removeTree } from './remove.js';
import { Stats } from './stats.js';

const ENOTDIR = 20;
const ENXIO = 6;

type OpenHost = () => Promise<HostDirectory>;

/** One copy into a container. */
class CopyIn {
  readonly count: CopyCount;
  readonly writer: GuestWriter;
  readonly #options: CopyOptions;
  readonly #links = new LinkTable();

  constructor(agent: FileAgent, about: About, options: CopyOptions) {
    this.#options = options;
    this.count = new CopyCount(options);
    this.writer = new GuestWriter(agent, about, this.count, options.signal);
  }

  #state(stats: BigIntStats): CopiedState {
    const { uid, gid, archive = false } = this.#options;
    return {
      mode: copiedMode(Number(stats.mode), stats.isDirectory(), this.#options),
      uid: uid ?? (archive ? Number(stats.uid) : 0),
      gid: gid ?? (archive ? Number(stats.gid) : 0),
      atimeNs: stats.atimeNs,
      mtimeNs: stats.mtimeNs,
    };
  }

  /** A file or symbolic link. Anything else is left out: false. */
  async entry(parent: HostDirectory, name: Buffer, into: Directory, as: Buffer): Promise<boolean> {
    this.count.check();
    const stats = await parent.lstat(name);
    if (stats.isSymbolicLink()) {
      const target = await parent.readlink(name);
      await this.writer.symlink(into.handle, as, target, this.#state(stats));
      this.count.result.symlinks++;
    } else if (stats.isFile()) await this.#file(parent, name, into, as);
    else this.count.skip(name);
    return stats.isSymbolicLink() || stats.isFile();
  }

  async #file(parent: HostDirectory, name: Buffer, into: Directory, as: Buffer): Promise<void> {
    const file = await parent.openFile(name);
    try {
      const stats = await file.stat({ bigint: true });
      // Put there since it was looked at.
      if (!stats.isFile()) return this.count.skip(name);
      await this.writer.file(into.handle, as, file.fd, this.#state(stats));
      this.count.result.files++;
    } finally {
      await file.close();
    }
  }

  /** Everything in the source into `into`; it and `root`, the same once more, are closed. */
  async tree(open: OpenHost, into: Directory, root: Directory, fresh: boolean): Promise<void> {
    const path = new HeldPath(into);
    const names: Buffer[] = [];
    try {
      const top = await open();
      const states = [fresh ? this.#state(top.stats) : undefined];
      for await (const visit of hostWalk(top)) {
        this.count.check();
        const { name } = visit;
        if (visit.kind === 'leave') {
          names.pop();
          await this.#finish(await path.pop(), states.pop());
        } else if (visit.kind === 'enter') {
          const made = await this.writer.directory(path.last, name);
          path.push(made.directory);
          names.push(name);
          states.push(made.fresh ? this.#state(visit.directory.stats) : undefined);
          if (made.fresh) this.count.result.directories++;
        } else {
          await this.#member(visit.parent, name, visit.stats, path.last, root, names);
        }
      }
      if (states[0] !== undefined) await this.writer.finish(path.last, states[0]);
    } finally {
      path.close();
      root.close();
    }
  }

  async #finish(directory: Directory, state?: CopiedState): Promise<void> {
    try {
      if (state !== undefined) await this.writer.finish(directory, state);
    } finally {
      directory.close();
    }
  }

  async #member(
    parent: HostDirectory,
    name: Buffer,
    stats: BigIntStats,
    into: Directory,
    root: Directory,
    names: readonly Buffer[],
  ): Promise<void> {
    const id = stats.isFile() && stats.nlink > 1n ? `${stats.dev}:${stats.ino}` : undefined;
    const first = id === undefined ? undefined : this.#links.find(id);
    if (first !== undefined && (await this.#link(root, first, into, name))) {
      this.count.result.files++;
      return;
    }
    if ((await this.entry(parent, name, into, name)) && id !== undefined)
      this.#links.add(id, [...names, name]);
  }

  /** False when that cannot be: then it is copied again. */
  async #link(root: Directory, first: readonly Buffer[], into: Directory, name: Buffer) {
    const path = first.reduce(joinPath, Buffer.alloc(0));
    if (path.length > fileProtocol.maxPath) return false;
    try {
      await this.writer.link(root.handle, path, into.handle, name);
      return true;
    } catch (error) {
      if (/^(ABORT_)?ERR/.test(codeOf(error))) throw error;
      return false;
    }
  }
}

async function lookAt(agent: FileAgent, path: Uint8Array, about: About, signal?: AbortSignal) {
  try {
    const { data } = await agent.call('stat', { path }, about, { signal, begun: true });
    return new Stats(data).isDirectory() ? 'directory' : 'other';
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return 'nothing';
  }
}

/** Where a copy is taken from: a name in a directory, which keeps it from being swapped. */
async function openSource(source: string, follow: boolean) {
  const stats = await (follow ? stat : lstat)(source);
  if (stats.isDirectory()) return { isDirectory: true };
  if (!stats.isFile() && !stats.isSymbolicLink())
    throw callError(ENXIO, { syscall: 'copyfile', path: source });
  return { isDirectory: false };
}

/** A tree under a new name: it is there when it is complete, or not at all. */
async function copyNamed(copy: CopyIn, agent: FileAgent, open: OpenHost, at: GuestTarget) {
  const { parent, name, path, about, signal } = at;
  const flags = fileProtocol.noFollow | fileProtocol.noSymlinks;
  const existing = await agent
    .call('stat', { dir: parent.handle, path: name, flags }, about, { signal })
    .catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
  if (existing !== undefined) {
    return copy.tree(open, ...(await twice(() => parent.enter(name))), false);
  }
  const temporary = temporaryName();
  try {
    (await copy.writer.directory(parent, temporary)).directory.close();
    copy.count.result.directories++;
    await copy.tree(open, ...(await twice(() => parent.enter(temporary))), true);
    const both = { dir: parent.handle, path: temporary, dir2: parent.handle, path2: name };
    await agent.call('rename', both, about, { signal });
  } catch (error) {
    await agent.tidied((how) => removeTree(agent, joinPath(path, temporary), how));
    throw error;
  }
}

interface GuestTarget {
  parent: Directory;
  name: Buffer;
  /** Of the parent. */
  path: Uint8Array;
  about: About;
  signal: AbortSignal | undefined;
}

/**
 * Copies a file or a tree of the host into a container, with mode and times, as its root's unless
 * `uid` and `gid` say otherwise. Where it goes is as with `docker cp`: into `destination` if that is
 * a directory, else under that name; a source that ends in `/.` means what is in it. Symbolic links
 * are copied as such, hard links of a tree as such where that is simple; FIFOs, sockets and devices
 * are left out.
 * @param source on the host
 * @param destination in the container; its directory must be there
 * @throws SyscallError as node:fs; ContainerGoneError; AbortError
 */
export function copyIn(
  agent: FileAgent,
  source: string,
  destination: GuestPath,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const work = () => copyTo(agent, source, destination, options);
  return agent.inTurn('trees', work, options.signal);
}

async function copyTo(
  agent: FileAgent,
  source: string,
  destination: GuestPath,
  options: CopyOptions,
): Promise<CopyResult> {
  const about: About = { syscall: 'copyfile', path: source, dest: destination };
  const follow = meansTarget(source);
  const { isDirectory } = await openSource(source, follow);
  const path = pathBytes(destination, 'copyfile');
  const found = await lookAt(agent, path, about, options.signal);
  // Bytes as characters, so that names need not be UTF-8.
  const ends = {
    source: Buffer.from(source).toString('latin1'),
    destination: Buffer.from(path).toString('latin1'),
  };
  const place = placement({ ...ends, isDirectory, found });
  if (place === undefined) throw callError(ENOTDIR, about);
  const copy = new CopyIn(agent, about, options);
  const { signal } = options;
  const context = { agent, about, signal, begun: true };
  const open = (at: string) => Directory.open(context, { path: Buffer.from(at, 'latin1') });
  const openHost = () => HostDirectory.open(source, follow ? 0 : constants.O_NOFOLLOW);
  if ('into' in place) {
    await copy.tree(openHost, ...(await twice(() => open(place.into))), false);
    return copy.count.result;
  }
  const parent = await open(place.parent);
  try {
    const name = Buffer.from(place.name, 'latin1');
    const target = { parent, name, path: Buffer.from(place.parent, 'latin1'), about, signal };
    if (isDirectory) await copyNamed(copy, agent, openHost, target);
    else await copyOne(copy, source, target);
  } finally {
    parent.close();
  }
  return copy.count.result;
}

async function copyOne(copy: CopyIn, source: string, { parent, name, about }: GuestTarget) {
  const host = await HostDirectory.open(posix.dirname(source));
  try {
    const done = await copy.entry(host, Buffer.from(posix.basename(source)), parent, name);
    if (!done) throw callError(ENXIO, about);
  } finally {
    host.close();
  }
}
