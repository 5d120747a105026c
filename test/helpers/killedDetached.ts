// A Node process that is to be killed: it creates a detached container with a launcher that stops at a
// point. Arguments: the launcher's path, section and index of the point. Prints a line of JSON when the
// launcher is there and nothing has been asked of it, and another, `KilledDetached`, when the container is
// made, or could not be.
import { subscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { ContainerError, createContainer } from '../../lib/index.js';
import { newId } from '../../lib/specOf.js';
import { hasEnded } from './launches.js';
import { programEndsAt } from './stops.js';
import { journalPath, say, stopAt, useLauncher } from './useLauncher.js';

/** What it says in the end: `made`, or the code of an error of ours. */
export interface KilledDetached {
  first: string;
}

const [path = '', section = '', index = ''] = process.argv.slice(2);
useLauncher(path);
const point = { title: '', section: Number(section), index: Number(index) };
const id = newId();
let monitor = 0;
subscribe('ringfort:launcher:start', (message) => {
  monitor = (message as { pid: number }).pid;
  stopAt((point.section << 16) | point.index);
  say({ launcher: monitor, journal: journalPath(), id });
});
try {
  const command = programEndsAt(point) ? ['true'] : ['sleep', 'infinity'];
  await createContainer({ id, detached: true, command, init: true });
  say({ first: 'made' } satisfies KilledDetached);
  // As long as it lives, the monitor is found below this process.
  if (programEndsAt(point)) while (!hasEnded(monitor)) await sleep(5);
} catch (error) {
  if (!(error instanceof ContainerError)) throw error;
  say({ first: error.code } satisfies KilledDetached);
}
