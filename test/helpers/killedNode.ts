// A Node process that is to be killed: it launches a container with a launcher that stops at a point.
// Arguments: the launcher's path, section and index of the point, options as JSON. Prints a line of JSON when the
// plan is about to be sent, and another when the launch, and what comes after, is over.
import { closeSync, openSync } from 'node:fs';
import { ContainerError, ContainerGoneError } from '../../lib/errors.js';
import { launch } from '../../lib/launch.js';
import { run } from '../../lib/run.js';
import { newId, specOf } from '../../lib/specOf.js';
import { supervisor } from '../../lib/supervisor.js';
import { journalPath, type KilledNode, say, stopAt, useLauncher } from './useLauncher.js';

/** What it says in the end. */
export interface KilledLaunch {
  /** The outcome of the launch that was held: its end, or the code of an error of ours. */
  first: string;
  /** The exit code of the next. */
  next: number | null;
}

const [path = '', section = '', index = '', options = '{}'] = process.argv.slice(2);
useLauncher(path);

/** The teardown follows by itself where that is where it is to stop. */
function program(): [string, string[]] {
  const ends = Number(section) === 3 || (Number(section) === 4 && Number(index) >= 7);
  return ends ? ['true', []] : ['sleep', ['infinity']];
}

async function outcome(id: string): Promise<string> {
  const fd = openSync('/dev/null', 'r+');
  const [file, args] = program();
  try {
    const spec = specOf(id, file, args, JSON.parse(options));
    const { ended } = await launch({ id, spec, fds: [fd, fd, fd] });
    const { exitCode, signal } = await ended;
    return signal ?? `exit ${exitCode}`;
  } catch (error) {
    if (error instanceof ContainerError) return error.code;
    throw error;
  } finally {
    closeSync(fd);
  }
}

const { launcher } = await supervisor();
stopAt((Number(section) << 16) | Number(index));
const id = newId();
say({ launcher: launcher.pid, journal: journalPath(), id } satisfies KilledNode);
const first = await outcome(id);
if (launcher.gone === undefined) stopAt(~0);

/** The next start; a launcher that is killed when all has been said so far takes one more. */
async function next(): Promise<number | null> {
  try {
    return (await run('true', [], {})).exitCode;
  } catch (error) {
    if (error instanceof ContainerGoneError) return (await run('true', [], {})).exitCode;
    throw error;
  }
}

say({ first, next: await next() } satisfies KilledLaunch);
