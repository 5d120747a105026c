// A Node process that is to be killed: a program is set up in advance in a container of its pool, with a
// launcher that stops at a point of that (`park`) or of its release (`release`). Arguments: the launcher's
// path, section and index of the point, which of the two. Prints a line of JSON when the container is
// there and the plan with the point is about to be sent, and another, `KilledExec`, when the program that
// was to be released, and the next one, are over.
import { subscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DiagnosticMessage } from '../../lib/diagnostics.js';
import { ContainerError, Pool } from '../../lib/index.js';
import { supervisor } from '../../lib/supervisor.js';
import { releaseLimits } from './execPoints.js';
import type { KilledExec } from './killedExec.js';
import { programEndsAt } from './stops.js';
import { journalPath, say, stopAt, useLauncher } from './useLauncher.js';

const [path = '', section = '', index = '', style = ''] = process.argv.slice(2);
useLauncher(path);
const point = { title: '', section: Number(section), index: Number(index) };
const { launcher } = await supervisor();

let made: DiagnosticMessage | undefined;

function arm({ containerId, pid }: DiagnosticMessage): void {
  stopAt((point.section << 16) | point.index);
  say({ launcher: launcher.pid, journal: journalPath(), id: containerId, first: pid });
}

subscribe('ringfort:container:start', (message) => {
  if (made !== undefined) return;
  made = message as DiagnosticMessage;
  // The program is asked for next.
  if (style === 'park') arm(made);
});

const pool = new Pool({}, { min: 1, max: 1 });

async function outcome(file: string, args: string[] = []): Promise<string> {
  try {
    const { exitCode, signal } = await pool.run(file, args, { limits: releaseLimits });
    return signal ?? `exit ${exitCode}`;
  } catch (error) {
    if (error instanceof ContainerError) return error.code;
    throw error;
  }
}

if (style === 'release') {
  while (pool.stats().ready === 0) await sleep(5);
  arm(made as unknown as DiagnosticMessage);
}
const first = programEndsAt(point) ? await outcome('true') : await outcome('sleep', ['infinity']);
const next = await outcome('true');
const same = (await supervisor()).launcher === launcher;
say({ first, same, next } satisfies KilledExec);
process.exit(0);
