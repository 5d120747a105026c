// A Node process that is to be killed: it starts a program in a container with a launcher that stops
// at a point. Arguments: the launcher's path, section and index of the point, `init`, `join` or `files`.
// Prints a line of JSON when the container is there and the program's plan is about to be sent, and
// another, `KilledExec`, when that program, and what comes after, is over.
import { type Container, ContainerError, createContainer } from '../../lib/index.js';
import { newId } from '../../lib/specOf.js';
import { supervisor } from '../../lib/supervisor.js';
import { programEndsAt } from './stops.js';
import { journalPath, say, stopAt, useLauncher } from './useLauncher.js';

/** What it says in the end. */
export interface KilledExec {
  /** The outcome of the program that was held: its end, or the code of an error of ours. */
  first: string;
  /** Whether the container was there for the next one; of a pool, where each has its own, the launcher. */
  same: boolean;
  /** The outcome of the next one. */
  next: string;
}

const [path = '', section = '', index = '', style = ''] = process.argv.slice(2);
useLauncher(path);

async function outcome(box: Container, file: string, args: string[] = []): Promise<string> {
  try {
    if (style === 'files') {
      await box.fs.readdir('/');
      return 'exit 0';
    }
    const { exitCode, signal } = await box.exec(file, args);
    return signal ?? `exit ${exitCode}`;
  } catch (error) {
    if (error instanceof ContainerError) return error.code;
    throw error;
  }
}

const create = (id: string) =>
  createContainer({ id, ...(style === 'join' && { command: ['sleep', 'infinity'] }) });

const id = newId();
const box = await create(id);
const { launcher } = await supervisor();
const point = { title: '', section: Number(section), index: Number(index) };
stopAt((point.section << 16) | point.index);
say({ launcher: launcher.pid, journal: journalPath(), id, first: box.pid });
const first = programEndsAt(point)
  ? await outcome(box, 'true')
  : await outcome(box, 'sleep', ['infinity']);

const again = await outcome(box, 'true');
const same = again === 'exit 0';
const next = same ? again : await outcome(await create(newId()), 'true');
say({ first, same, next } satisfies KilledExec);
process.exit(0);
