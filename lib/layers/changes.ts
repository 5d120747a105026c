import { constants } from 'node:fs';
import { Directory, type DirectoryContext } from '../files/directory.js';
import { HeldPath } from '../files/held.js';
import { fileProtocol } from '../files/protocol.js';
import type { Stats } from '../files/stats.js';
import { attribute, attributeNames, type Call } from './attributes.js';
import { callsOf, type LayerContext } from './copyLayer.js';
import { bound, type HeldNames, type SortedName, SortedNames } from './sortedNames.js';

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK } = constants;
const flags = fileProtocol.noFollow | fileProtocol.noSymlinks;

/** What kind of file a change is about: what it is now, of a deleted one what it was. */
export type ChangedType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'device';

/** A difference between a container's root and the layers below it. */
export interface Change {
  kind: 'added' | 'modified' | 'deleted';
  /** In the container, absolute. Bytes that are not UTF-8 are replaced. */
  path: string;
  type: ChangedType;
}

const types = new Map<number, ChangedType>([
  [S_IFREG, 'file'],
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symlink'],
  [S_IFIFO, 'fifo'],
  [S_IFSOCK, 'socket'],
]);

function typeOf(mode: number): ChangedType {
  return types.get(mode & S_IFMT) ?? 'device';
}

const opaqueName = Buffer.from('user.overlay.opaque');

/** A directory on the way from the top to where the listing is. */
interface Level {
  names: SortedNames;
  /** Path, without a slash at its end. */
  path: string;
  /** The layers below have this directory, too. */
  below: boolean;
  /** What they have in it is hidden. */
  opaque: boolean;
}

/** What an entry of the upper layer has turned out to be. */
interface Found {
  change: Omit<Change, 'path'> | undefined;
  /** A directory to go into. */
  inside?: { upper: Directory; lower: Directory | undefined; opaque: boolean };
}

class Listing {
  readonly #context: DirectoryContext;
  readonly #call: Call;
  readonly #upper: HeldPath<Directory>;
  readonly #lower: HeldPath<Directory>;
  readonly #levels: Level[] = [];
  readonly #held: HeldNames;

  constructor(layer: LayerContext, upper: Directory, lower: Directory, most: number) {
    this.#held = { count: 0, most };
    const { agent, label, signal } = layer;
    this.#context = { agent, signal, about: { syscall: 'scandir', path: label } };
    this.#call = callsOf(layer, 'scandir');
    this.#upper = new HeldPath(upper);
    this.#lower = new HeldPath(lower);
    this.#push({ path: '', below: true, opaque: false });
  }

  #push(level: Omit<Level, 'names'>): void {
    this.#levels.push({ ...level, names: new SortedNames(this.#context, this.#held) });
    bound(this.#levels, this.#held);
  }

  close(): void {
    this.#upper.close();
    this.#lower.close();
  }

  async *changes(): AsyncGenerator<Change, void, undefined> {
    for (;;) {
      const level = this.#levels.at(-1) as Level;
      const hidden = level.opaque && level.below ? [this.#lower.last] : [];
      const next = await level.names.next([this.#upper.last, ...hidden]);
      if (next === undefined) {
        this.#levels.pop();
        if (this.#levels.length === 0) return;
        (await this.#upper.pop()).close();
        if (level.below) (await this.#lower.pop()).close();
        continue;
      }
      const found = await this.#look(level, next);
      const text = Buffer.from(next.name, 'latin1').toString();
      // The level's path is a string of its own: V8 makes one flat that is read, and in a deep tree
      // each would be as long as all names above it.
      if (found.inside !== undefined) this.#enter(`${level.path}/${text}`, found.inside);
      if (found.change !== undefined) yield { ...found.change, path: `${level.path}/${text}` };
    }
  }

  #enter(path: string, { upper, lower, opaque }: NonNullable<Found['inside']>): void {
    this.#upper.push(upper);
    if (lower !== undefined) this.#lower.push(lower);
    this.#push({ path, below: lower !== undefined, opaque });
  }

  async #look(level: Level, { name, of }: SortedName): Promise<Found> {
    const bytes = Buffer.from(name, 'latin1');
    try {
      const now = of === 0 ? await this.#upper.last.lstat(bytes) : undefined;
      const was = level.below ? await this.#below(bytes) : undefined;
      return await this.#compare(level, bytes, now, was);
    } catch (error) {
      // The container runs, and has taken it away.
      const gone = ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(
        (error as NodeJS.ErrnoException).code ?? '',
      );
      if (gone) return { change: undefined };
      throw error;
    }
  }

  async #below(name: Buffer): Promise<Stats | undefined> {
    try {
      return await this.#lower.last.lstat(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #compare(level: Level, name: Buffer, now?: Stats, was?: Stats): Promise<Found> {
    if (now === undefined || (now.isCharacterDevice() && now.rdev === 0)) {
      return { change: was && { kind: 'deleted', type: typeOf(was.mode) } };
    }
    const type = typeOf(now.mode);
    const kind = was === undefined ? 'added' : 'modified';
    if (type !== 'directory') return { change: { kind, type } };
    const upper = await this.#upper.last.enter(name);
    let lower: Directory | undefined;
    try {
      const at = { dir: upper.handle };
      const opaque =
        level.opaque || (await attribute(this.#call, at, opaqueName))?.toString() === 'y';
      if (was?.isDirectory() === true) lower = await this.#lower.last.enter(name);
      const same = lower !== undefined && (await this.#same(upper, lower));
      return { change: same ? undefined : { kind, type }, inside: { upper, lower, opaque } };
    } catch (error) {
      upper.close();
      lower?.close();
      throw error;
    }
  }

  /** Whether two directories have the same owner, mode and extended attributes. */
  async #same(upper: Directory, lower: Directory): Promise<boolean> {
    const [a, b] = [upper.stats, lower.stats];
    if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
    const [now, was] = await Promise.all([this.#attributes(upper), this.#attributes(lower)]);
    return now === was;
  }

  async #attributes({ handle }: Directory): Promise<string> {
    const at = { dir: handle };
    const values: string[] = [];
    for (const name of await attributeNames(this.#call, at)) {
      const text = name.toString('latin1');
      if (text.startsWith('user.overlay.')) continue;
      values.push(`${text}=${(await attribute(this.#call, at, name))?.toString('hex')}`);
    }
    return values.sort().join('\n');
  }
}

/**
 * What an upper layer changes of the layers below it, in the order of names within a directory, a
 * directory before what is in it.
 * @param upper path of the layer in the agent's container
 * @param lower path of the merged layers below it there
 * @param most names that are held in memory at once
 */
export async function* changes(
  layer: LayerContext,
  upper: string,
  lower: string,
  most = 100_000,
): AsyncGenerator<Change, void, undefined> {
  const { agent, label, signal } = layer;
  const context = { agent, signal, about: { syscall: 'scandir', path: label } };
  const open = (path: string) => Directory.open(context, { path: Buffer.from(path), flags });
  const listing = new Listing(layer, await open(upper), await open(lower), most);
  try {
    yield* listing.changes();
  } finally {
    listing.close();
  }
}
