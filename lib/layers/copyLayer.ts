import { constants } from 'node:fs';
import { throwIfAborted } from '../abort.js';
import { codeOf } from '../errors.js';
import type { FileAgent } from '../files/agent.js';
import { Directory } from '../files/directory.js';
import { HeldPath } from '../files/held.js';
import { fileProtocol } from '../files/protocol.js';
import { removeTree } from '../files/remove.js';
import type { RawEntry, Stats } from '../files/stats.js';
import { Turns } from '../turns.js';
import { type Call, copyAttributes, type Place } from './attributes.js';

const { S_IFMT, S_IFREG, S_IFDIR } = constants;
const flags = fileProtocol.noFollow | fileProtocol.noSymlinks;

/** Bytes that the agent copies before it looks at the next request. */
const copyBytes = 16 << 20;
/** Files that are on their way at once. */
const filesAtOnce = 16;
/** Names beside each other in the directory of a copy. */
const names = { layer: 'upper', links: 'links' } as const;

/** What a copy is made with. */
export interface LayerContext {
  agent: FileAgent;
  /** The layer, for errors. */
  label: string;
  signal?: AbortSignal | undefined;
}

/** The calls of one piece of work. */
export function callsOf({ agent, label, signal }: LayerContext, syscall: string): Call {
  return (op, request) => agent.call(op, request, { syscall, path: label }, { signal });
}

/** One copy of a layer. */
class LayerCopy {
  readonly #context: LayerContext;
  readonly #call: Call;
  /** Holds a name of each file that has more than one: found again however deep it lies. */
  readonly #links: Directory;
  readonly #linking = new Turns(1);
  #pending: Promise<void>[] = [];

  constructor(context: LayerContext, links: Directory) {
    this.#context = context;
    this.#call = callsOf(context, 'copyfile');
    this.#links = links;
  }

  /** Everything in one directory into another, and the directory's own state; both are closed. */
  async tree(from: Directory, into: Directory): Promise<void> {
    const source = new HeldPath(from);
    const target = new HeldPath(into);
    try {
      for (;;) {
        throwIfAborted(this.#context.signal);
        const entry = await source.last.next();
        if (entry === undefined) {
          await this.#flush();
          await this.#finish(source.last, target.last);
          if (source.depth === 0) return;
          for (const path of [source, target]) (await path.pop()).close();
          continue;
        }
        source.from = entry.next;
        await this.#entry(source, target, entry);
      }
    } finally {
      await Promise.allSettled(this.#pending);
      source.close();
      target.close();
    }
  }

  async #entry(
    source: HeldPath<Directory>,
    target: HeldPath<Directory>,
    { name, type }: RawEntry,
  ): Promise<void> {
    const from = source.last;
    const to = target.last;
    const isDirectory =
      type === 0 ? (await from.lstat(name)).isDirectory() : type === (S_IFDIR & S_IFMT);
    if (isDirectory) {
      await this.#flush();
      await this.#call('mkdir', { dir: to.handle, path: name, numbers: [0o700] });
      target.push(await to.enter(name));
      source.push(await from.enter(name));
      return;
    }
    const copied = this.#member(from, to, name);
    // It is looked at in a while.
    copied.catch(() => {});
    this.#pending.push(copied);
    if (this.#pending.length >= filesAtOnce) await this.#flush();
  }

  async #flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    const results = await Promise.allSettled(pending);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #finish(from: Directory, to: Directory): Promise<void> {
    const { stats } = from;
    const [source, target] = [{ dir: from.handle }, { dir: to.handle }];
    await copyAttributes(this.#call, { from: source, to: target, stats });
  }

  /** Anything but a directory. */
  async #member(from: Directory, to: Directory, name: Buffer): Promise<void> {
    const stats = await from.lstat(name);
    const places = {
      from: { dir: from.handle, path: name, flags },
      to: { dir: to.handle, path: name, flags },
    };
    if (stats.nlink > 1) await this.#linking.take(() => this.#linked(places, stats));
    else await this.#make(places, stats);
  }

  async #linked(places: { from: Place; to: Place }, stats: Stats): Promise<void> {
    const { handle: dir } = this.#links;
    const held = { dir, path: Buffer.from(stats.id.replace(':', '-')) };
    const { dir: dir2 = 0, path: path2 = Buffer.of() } = places.to;
    try {
      await this.#call('link', { ...held, dir2, path2, flags });
      return;
    } catch (error) {
      // The kernel has a bound on the names of one file, and one of them is ours.
      if (codeOf(error) === 'EMLINK') await this.#call('unlink', held);
      else if (codeOf(error) !== 'ENOENT') throw error;
    }
    await this.#make(places, stats);
    await this.#call('link', { ...places.to, dir2: held.dir, path2: held.path });
  }

  async #make({ from, to }: { from: Place; to: Place }, stats: Stats): Promise<void> {
    if (stats.isCharacterDevice() && stats.rdev === 0) {
      await this.#call('whiteout', to);
    } else if (stats.isSymbolicLink()) {
      const { data } = await this.#call('readlink', from);
      await this.#call('symlink', { ...to, path2: data });
    } else {
      // Of devices the agent and the kernel say EPERM: no guest can have made one.
      await this.#call('mknod', { ...to, numbers: [(stats.mode & S_IFMT) | 0o600] });
      if ((stats.mode & S_IFMT) === S_IFREG && stats.size > 0) await this.#data(from, to);
    }
    await copyAttributes(this.#call, { from, to, stats });
  }

  async #data(from: Place, to: Place): Promise<void> {
    const { agent, label: path, signal } = this.#context;
    const { dir: dir2 = 0, path: path2 = Buffer.of() } = to;
    for (let at = 0n, last = false; !last; ) {
      const request = { ...from, dir2, path2, numbers: [at, copyBytes] };
      const about = { syscall: 'copyfile', path };
      const answer = await agent.call('copyData', request, about, { signal });
      at = answer.data.readBigUInt64LE();
      last = answer.last;
    }
  }
}

/**
 * Copies a layer with everything that an overlay knows by it: owners, modes, times, extended
 * attributes (file capabilities and ACLs among them), whiteouts, opaque directories, hard links,
 * holes. Nothing may change in it meanwhile.
 * @param from path of the layer in the agent's container
 * @param to path of a directory there; the copy is made as `upper` in it
 * @throws SyscallError; AbortError. What there is of the copy is the caller's to remove
 */
export async function copyLayer(context: LayerContext, from: string, to: string): Promise<void> {
  const { agent, label, signal } = context;
  const call = callsOf(context, 'copyfile');
  const open = (path: string) =>
    Directory.open(
      { agent, signal, about: { syscall: 'copyfile', path: label } },
      { path: Buffer.from(path), flags },
    );
  const inherited = Buffer.from('system.posix_acl_default');
  await call('removexattr', { path: Buffer.from(to), path2: inherited }).catch(() => {});
  for (const name of Object.values(names))
    await call('mkdir', { path: Buffer.from(`${to}/${name}`), numbers: [0o700] });
  const links = await open(`${to}/${names.links}`);
  try {
    const top = await open(from);
    const into = await open(`${to}/${names.layer}`);
    await new LayerCopy(context, links).tree(top, into);
  } finally {
    links.close();
  }
  await removeTree(agent, `${to}/${names.links}`, { signal });
}

/** Removes what `copyLayer` and an overlay make in a directory, and nothing else. */
export async function removeLayers(agent: FileAgent, at: string): Promise<void> {
  for (const name of [names.links, names.layer, 'work']) {
    try {
      await removeTree(agent, `${at}/${name}`);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
}
