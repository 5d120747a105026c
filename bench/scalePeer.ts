import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Network } from './scaleBoxes.js';

const program = fileURLToPath(new URL('./scaleWorker.js', import.meta.url));

/** Another process that launches containers, and has none that live. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #directory: string | undefined;

  private constructor(command: string[], directory?: string) {
    const [file = '', ...args] = command;
    this.#child = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#directory = directory;
  }

  /** @param mounts so many more in a mount namespace of its own; default: in this process's */
  static async start(mounts?: number): Promise<Peer> {
    const node = [process.execPath, program];
    let peer: Peer;
    if (mounts === undefined) peer = new Peer(node);
    else {
      const directory = mkdtempSync(join(tmpdir(), 'ringfort-scale-'));
      const own = ['unshare', '--mount', '--propagation', 'private'];
      peer = new Peer([...own, ...node, String(mounts), directory], directory);
    }
    await peer.#answer();
    return peer;
  }

  /** ms of a run there. */
  async time(network: Network): Promise<number> {
    this.#child.send(network);
    return Number(await this.#answer());
  }

  async #answer(): Promise<unknown> {
    const signal = AbortSignal.timeout(60_000);
    const [answer] = await once(this.#child, 'message', { signal });
    return answer;
  }

  async close(): Promise<void> {
    const over = once(this.#child, 'exit');
    this.#child.disconnect();
    await over;
    if (this.#directory !== undefined) rmdirSync(this.#directory);
  }
}
