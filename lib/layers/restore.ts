import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { codeOf } from '../errors.js';
import { copyLayer, removeLayers } from './copyLayer.js';
import { type LayersOf, Maintenance } from './maintenance.js';

/** rename(2): RENAME_EXCHANGE. */
const exchange = 2;

/** Puts a copy of a layer in another's place, in two parts. */
export class Restore implements AsyncDisposable {
  readonly #maintenance: Maintenance;
  readonly #upper: string;
  /**
   * Beside the upper layer. Always the same name, so that what a Node that was killed has left is
   * found by the next.
   */
  readonly #temporary: string;

  private constructor(maintenance: Maintenance, upper: string) {
    this.#maintenance = maintenance;
    this.#upper = `/to/${basename(upper)}`;
    this.#temporary = `/to/.${basename(upper)}.ringfort-rollback`;
  }

  /** Copies `layer`, for now beside `upper`. @throws SyscallError; AbortError; nothing is left */
  static async prepare(
    of: LayersOf,
    { layer, upper, signal }: { layer: string; upper: string; signal?: AbortSignal | undefined },
  ): Promise<Restore> {
    const real = await realpath(upper);
    const shown = [
      { source: layer, at: '/from' },
      { source: dirname(real), at: '/to', writable: true },
    ];
    const restore = new Restore(await Maintenance.open(of, shown), real);
    try {
      await restore.#remove();
      const { agent } = restore.#maintenance;
      const about = { syscall: 'mkdir', path: upper };
      const path = Buffer.from(restore.#temporary);
      await agent.call('mkdir', { path, numbers: [0o700] }, about);
      await copyLayer({ agent, label: layer, signal }, '/from', restore.#temporary);
      return restore;
    } catch (error) {
      await restore[Symbol.asyncDispose]().catch(() => {});
      throw error;
    }
  }

  /** Exchanges the two, at once: an interruption leaves the one or the other. */
  async commit(): Promise<void> {
    const path = Buffer.from(`${this.#temporary}/upper`);
    const request = { path, path2: Buffer.from(this.#upper), numbers: [exchange] };
    await this.#maintenance.agent.call('rename', request, {
      syscall: 'rename',
      path: this.#upper,
    });
  }

  async #remove(): Promise<void> {
    const { agent } = this.#maintenance;
    await removeLayers(agent, this.#temporary);
    try {
      const path = Buffer.from(this.#temporary);
      await agent.call('rmdir', { path }, { syscall: 'rmdir', path: this.#temporary });
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }

  /** Removes the one that is not in place. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#remove();
    } finally {
      await this.#maintenance[Symbol.asyncDispose]();
    }
  }
}
