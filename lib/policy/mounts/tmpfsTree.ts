import { posix } from 'node:path';
import type { PlanBuilder } from '../../plan/builder.js';
import type { Slot } from '../../plan/steps.js';

/**
 * The files and directories that we make ourselves, always on a tmpfs of our own, where nothing
 * hostile can be in the way. Paths are absolute as seen from that tmpfs's root.
 */
export class TmpfsTree {
  readonly #made = new Set<string>(['/']);

  /** @param slot the tmpfs, as `fsMount` has made it */
  constructor(
    readonly builder: PlanBuilder,
    readonly slot: Slot,
  ) {}

  /** Makes a directory and those above it; what exists is left alone. */
  directory(path: string, mode = 0o755): void {
    if (this.#made.has(path)) return;
    this.directory(posix.dirname(path));
    this.#made.add(path);
    // existOk: the container may have been handed a tmpfs that has it (a mount on a mount).
    this.builder.add('child', {
      op: 'mkdir',
      dir: this.slot,
      path: path.slice(1),
      mode,
      existOk: 1,
    });
  }

  /** Makes a file; a second one at the same place is the first. */
  file(path: string, data: Uint8Array = new Uint8Array(), mode = 0o644): void {
    if (!this.#claim(path)) return;
    this.builder.add('child', { op: 'create', dir: this.slot, path: path.slice(1), mode, data });
  }

  /** Makes a symbolic link. */
  symlink(path: string, target: string): void {
    if (!this.#claim(path)) return;
    this.builder.add('child', { op: 'symlink', dir: this.slot, target, path: path.slice(1) });
  }

  /** Whether something has been made there. */
  has(path: string): boolean {
    return this.#made.has(path);
  }

  #claim(path: string): boolean {
    if (this.#made.has(path)) return false;
    this.directory(posix.dirname(path));
    this.#made.add(path);
    return true;
  }
}
