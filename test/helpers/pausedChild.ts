// To be killed, or to lose its launcher, while its container is paused: `pausedChild.js <init | command>`.
// Says who is there (`PausedChild`), and, if it lives on, what becomes of the container and of the next
// one (`AfterPause`).
import { createContainer, run } from '../../lib/index.js';
import { supervisor } from '../../lib/supervisor.js';
import { say } from './useLauncher.js';

/** The processes, and the container's id. */
export interface PausedChild {
  id: string;
  launcher: number;
  guests: number[];
}

/** The reason of the container's end or the code of an error, and the exit code of another. */
export interface AfterPause {
  said: string;
  next: number | null;
}

const alive = setInterval(() => {}, 1000);
const box = await createContainer(
  process.argv[2] === 'command' ? { command: ['sleep', '600'] } : {},
);
const program = box.spawn('sh', ['-c', 'sleep 600 & echo up; wait']);
await new Promise((resolve) => program.stdout?.once('data', resolve));
program.on('error', () => {});
const { launcher } = await supervisor();
const guests = [...new Set([box.pid, ...(await box.top()).map(({ pid }) => pid)])] as number[];
await box.pause();
say({ id: box.id, launcher: launcher.pid, guests } satisfies PausedChild);
const said = await box.wait().then(
  ({ reason }) => reason,
  ({ code }) => code,
);
say({ said, next: (await run('true')).exitCode } satisfies AfterPause);
clearInterval(alive);
