// A Node process that sees no cgroup v2. Prints a line of JSON for each container that was paused
// while it was killed: `V1Pause`.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createContainer } from '../../lib/index.js';

/** How one of them went. */
export interface V1Pause {
  /** Its cgroups, to show that none is of v2. */
  unified: boolean;
  /** `'paused'`, or the code of what `pause` threw. */
  pause: string;
  signal: string | null;
}

// Many tasks that fork, so that the freezer is some time on its way.
const storm =
  'storm() { (sleep 0.01; storm) & }; storm; storm; storm; while :; do sleep 0.01; done';

for (let round = 0; round < 24; round++) {
  const box = await createContainer({ command: ['sh', '-c', storm] });
  await sleep(20);
  const paused = box.pause().then(
    () => 'paused',
    (error: { code: string }) => error.code,
  );
  // Not for its length: each round is killed somewhere else.
  if (round % 3 > 0) await sleep(round % 7);
  box.kill('SIGKILL');
  const { signal } = await box.wait();
  const { unified } = box.inspect().cgroup ?? {};
  const said: V1Pause = { unified: unified !== undefined, pause: await paused, signal };
  await box[Symbol.asyncDispose]();
  writeSync(1, `${JSON.stringify(said)}\n`);
}
