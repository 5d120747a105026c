/** A directory that is held open by a descriptor, of the guest or of the host. */
export interface Held<D> {
  /** Which directory it is, for as long as it exists. */
  readonly id: string;
  close(): void;
  /** The directory it lies in, which must be the one with this id: else ESTALE. */
  parent(id: string, from: bigint): Promise<D>;
}

interface Level<D> {
  id: string;
  /** Absent while closed. */
  held: D | undefined;
  /** Where a listing of it goes on. */
  from: bigint;
}

/** Levels of a tree that are open at once; a deeper walk opens the ones above again on its way up. */
const maxOpen = 8;

/**
 * The directories from a tree's top down to where a walk is. A tree may be deeper than a process
 * may have descriptors, and longer than a path may be: only the innermost levels are open, the rest
 * is found again by `..` and by who they are.
 */
export class HeldPath<D extends Held<D>> {
  readonly #levels: Level<D>[];
  #closed = 0;

  constructor(top: D) {
    this.#levels = [{ id: top.id, held: top, from: 0n }];
  }

  /** Levels below the top. */
  get depth(): number {
    return this.#levels.length - 1;
  }

  /** The innermost directory. */
  get last(): D {
    return this.#level.held as D;
  }

  /** Where a listing of the innermost directory goes on when it had to be closed. */
  set from(from: bigint) {
    this.#level.from = from;
  }

  get #level(): Level<D> {
    return this.#levels.at(-1) as Level<D>;
  }

  /** Goes one level down. */
  push(child: D): void {
    this.#levels.push({ id: child.id, held: child, from: 0n });
    if (this.#levels.length - this.#closed <= maxOpen) return;
    const outermost = this.#levels[this.#closed++] as Level<D>;
    outermost.held?.close();
    outermost.held = undefined;
  }

  /** Goes one level up. @returns the directory that was left, the caller's to close */
  async pop(): Promise<D> {
    const child = this.last;
    const above = this.#levels.at(-2) as Level<D>;
    if (above.held === undefined) {
      above.held = await child.parent(above.id, above.from);
      this.#closed = this.#levels.length - 2;
    }
    this.#levels.pop();
    return child;
  }

  /** Closes what is open. */
  close(): void {
    for (const level of this.#levels.splice(0)) level.held?.close();
  }
}

/** Opens a directory two times over; none stays open when that fails. */
export async function twice<D extends Held<D>>(open: () => Promise<D>): Promise<[D, D]> {
  const first = await open();
  try {
    return [first, await open()];
  } catch (error) {
    first.close();
    throw error;
  }
}
