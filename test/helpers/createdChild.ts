// To be killed, or to lose its launcher, while its container waits for `start`: `createdChild.js
// DIRECTORY`, where the command would leave a file. Says who is there (`CreatedChild`), and, if it lives
// on, what becomes of it and of the next container (`AfterCreated`).
import { createContainer, run } from '../../lib/index.js';
import { supervisor } from '../../lib/supervisor.js';
import { say } from './useLauncher.js';

/** The processes, and the container's id. */
export interface CreatedChild {
  id: string;
  launcher: number;
  guest: number;
}

/** The reason of its end or the code of an error, and the exit code of another. */
export interface AfterCreated {
  said: string;
  next: number | null;
}

const alive = setInterval(() => {}, 1000);
const box = await createContainer({
  command: ['touch', '/out/ran'],
  mounts: [`${process.argv[2]}:/out`],
  start: false,
});
const { launcher } = await supervisor();
say({ id: box.id, launcher: launcher.pid, guest: box.pid as number } satisfies CreatedChild);
const said = await box.wait().then(
  ({ reason }) => reason,
  ({ code }) => code,
);
say({ said, next: (await run('true')).exitCode } satisfies AfterCreated);
clearInterval(alive);
