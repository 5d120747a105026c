import { Directory, type DirectoryContext } from '../files/directory.js';

/** A name of a directory, one character a byte, and its `S_IF…` (0: not known). */
export interface SortedName {
  name: string;
  type: number;
  /** Index of the directory that has it: the first of those that do. */
  of: number;
}

/** The names that the directories of one listing hold. */
export interface HeldNames {
  count: number;
  /** As many may be held at once. */
  readonly most: number;
}

function compare(a: SortedName, b: SortedName): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.of - b.of;
}

/** Sorts, drops a name's second place, and keeps only the first `most`. */
function cut(found: SortedName[], most: number): SortedName[] {
  return found
    .sort(compare)
    .filter(({ name }, i) => i === 0 || found[i - 1]?.name !== name)
    .slice(0, most);
}

/**
 * The names of one or two directories together, in the order of their bytes. Of a directory with
 * more names than may be held, the next ones are looked for again and again, in flat memory.
 */
export class SortedNames {
  readonly #context: DirectoryContext;
  /** The last name that was given. */
  #cursor = '';
  /** In reverse order. */
  #page: SortedName[] = [];
  #more = true;
  readonly #held: HeldNames;

  constructor(context: DirectoryContext, held: HeldNames) {
    this.#context = context;
    this.#held = held;
  }

  /** Forgets what is held; it is found again. */
  drop(): void {
    if (this.#page.length > 0) this.#more = true;
    this.#held.count -= this.#page.length;
    this.#page = [];
  }

  /** The next name; undefined at the end. */
  async next(directories: readonly Directory[]): Promise<SortedName | undefined> {
    if (this.#page.length === 0 && this.#more) await this.#fill(directories);
    const next = this.#page.pop();
    if (next === undefined) return undefined;
    this.#held.count--;
    this.#cursor = next.name;
    return next;
  }

  async #fill(directories: readonly Directory[]): Promise<void> {
    const { most } = this.#held;
    let found: SortedName[] = [];
    this.#more = false;
    for (const [of, { handle: dir }] of directories.entries()) {
      const again = await Directory.open(this.#context, { dir, path: Buffer.from('.') });
      try {
        for (;;) {
          const entry = await again.next();
          if (entry === undefined) break;
          const name = entry.name.toString('latin1');
          if (name <= this.#cursor) continue;
          found.push({ name, type: entry.type, of });
          if (found.length < 2 * most) continue;
          found = cut(found, most);
          this.#more ||= found.length === most;
        }
      } finally {
        again.close();
      }
    }
    const all = cut(found, Number.POSITIVE_INFINITY);
    this.#more ||= all.length > most;
    this.#page = all.slice(0, most).reverse();
    this.#held.count += this.#page.length;
  }
}

/** Drops what the outermost of nested directories hold, until all of them hold little enough. */
export function bound(levels: readonly { names: SortedNames }[], held: HeldNames): void {
  for (let i = 0; held.count > held.most && i < levels.length - 1; i++) levels[i]?.names.drop();
}
