import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { plainSpawn } from './plain.js';

/** Where a hybrid host has cgroup v2. crun refuses to run beside it. */
const unified = '/sys/fs/cgroup/unified';

/** A Node as this one, in a mount namespace without cgroup v2, that spawns what it is told and times it. */
export class Elsewhere {
  readonly #child: ChildProcess;

  constructor() {
    const script = `umount ${unified} && exec "$@"`;
    const node = [process.execPath, fileURLToPath(import.meta.url), 'worker'];
    const args = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...node];
    this.#child = spawn('unshare', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    // Whoever asks next hears of it.
    this.#child.on('error', () => {});
  }

  /** ms of such a program. */
  async spawn(command: readonly string[]): Promise<number> {
    const answer = await new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`there is no mount namespace without ${unified}`));
      if (!this.#child.connected) return ended();
      this.#child.once('disconnect', ended);
      this.#child.once('message', (message) => {
        this.#child.off('disconnect', ended);
        resolve(message);
      });
      this.#child.send(command);
    });
    if (typeof answer !== 'number') throw new Error(String(answer));
    return answer;
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

if (process.argv[2] === 'worker') {
  process.on('message', ([file = '', ...args]: string[]) => {
    plainSpawn(file, args).then(
      (ms) => process.send?.(ms),
      (error) => process.send?.(`${(error as Error).message.trim().split('\n').at(-1)}`),
    );
  });
}
