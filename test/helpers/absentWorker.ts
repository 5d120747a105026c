// Containers of a launcher for which one system call does not exist, for each call that it and what
// it clones make: `absentWorker.js <launcher>`. Prints lines of JSON, `Absence`.
import { ContainerError } from '../../lib/errors.js';
import { createContainer } from '../../lib/index.js';
import { supervisor } from '../../lib/supervisor.js';
import { callName, Faults } from './faults.js';
import { within } from './heldNode.js';
import { descendants } from './leaks.js';
import { say } from './useLauncher.js';

/** What came of a call's absence. */
export interface Absence {
  call: string;
  /** `same`: all is as with it; else the code of the error. */
  outcome: string;
  /** What is neither. */
  problem?: string;
}

/** What a guest sees of its walls. */
const look = `
grep -E '^(Uid|Gid|Groups|NoNewPrivs|Seccomp|Cap...):' /proc/self/status
ls /proc/self/fd | wc -l
cut -d' ' -f5- /proc/self/mountinfo | sed 's/ringfort-[0-9a-f]*//; s/[ug]id=[0-9]*//g'
cat /proc/timer_list /proc/keys 2>&1 | wc -c
cat /proc/self/limits
cat /proc/self/attr/current 2>&1
stat -c '%n %A %u %g %t %T' /dev/*
hostname | wc -c
for ns in user pid mnt net ipc uts cgroup; do test -e /proc/self/ns/$ns && echo $ns; done
echo $$; cat /proc/1/comm
ps -e >/tmp/all 2>/dev/null; wc -l </tmp/all
`;

/** The program was ended, with the init that could not go on: no wall has been missing. */
class ExecEnded extends Error {
  readonly code = 'ended';
}

/** A container from its start to its end: what its guests see, and one of its files. */
async function attempt(): Promise<string> {
  await using box = await createContainer();
  const { stdout, signal, exitCode } = await box.exec('sh', ['-c', look]);
  if (exitCode !== 0) throw new ExecEnded(signal ?? `exit code ${exitCode}`);
  await box.fs.writeFile('/tmp/file', 'text');
  return stdout + (await box.fs.readFile('/tmp/file', 'utf8'));
}

/** A new launcher, so that its start lacks the call, too. */
async function renewed(): Promise<void> {
  const { launcher } = await supervisor();
  launcher.close();
}

async function limited(promise: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('hangs')), 60_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const faults = new Faults(process.argv[2] ?? '');
await attempt();
faults.reset();
await renewed();
const usual = await attempt();
const numbers = faults.used;
for (const number of numbers) {
  await renewed();
  const call = callName(number);
  faults.armNumber(number, 'ENOSYS');
  try {
    const seen = await limited(attempt());
    const news = seen.split('\n').filter((line) => !usual.includes(line));
    const problem = seen === usual ? {} : { problem: news.join('\n') };
    say({ call, outcome: seen === usual ? 'same' : 'other', ...problem } satisfies Absence);
  } catch (error) {
    const { code = '', message, syscall } = error as NodeJS.ErrnoException;
    const ended = error instanceof ExecEnded;
    const typed =
      ended || error instanceof ContainerError || (code === 'ENOSYS' && syscall !== undefined);
    say({ call, outcome: code, ...(typed ? {} : { problem: message }) } satisfies Absence);
  }
  faults.disarm();
  // What a launcher that could do nothing more has left is swept by the next, once it has ended;
  // suites beside this one would take it for theirs.
  await renewed();
  await within(() => descendants().length === 0);
}
await attempt();
faults.close();
process.exit(0);
