// What comes of system calls of ours that fail again and again: `lastingFaults.js <launcher>`. Prints
// a line of JSON, `LastingFaults`.
import { Container, ContainerError, createContainer, run } from '../../lib/index.js';
import { abis, type Machine } from '../../lib/seccomp/abis.js';
import { newId } from '../../lib/specOf.js';
import { type FaultName, Faults, type Role } from './faults.js';
import { until } from './launches.js';
import { say } from './useLauncher.js';

/** A start's outcome: its exit code, or the code of its error and the error number. */
export interface LastingFaults {
  /** Where a child would not have got the memory that it reports in. */
  withoutReport: string;
  /** Of a client to which its monitor cannot send anything, and of the next. */
  unheard: string;
  next: string;
  /** Of a creation whose detach is not answered, and what is left of it. */
  unanswered: string;
  leftOfIt: number;
  /** Of a creation whose launcher cannot become a monitor. */
  undetached: string;
  /** Of a program whose monitor lets go of its creator, and of waiting for the container. */
  letGo: string;
  afterwards: string;
  /** What a log has after its rotation has failed for a while. */
  rotated: string;
}

const [{ numbers }] = abis[process.arch as Machine];
const numberOf = (name: string) => numbers.get(name) as number;

async function outcome(call: Promise<{ exitCode: number | null }>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, 120_000, 'hangs');
  });
  const told = call.then(
    ({ exitCode }) => `exit ${exitCode}`,
    (error) =>
      error instanceof ContainerError ? `${error.code} ${error.errno ?? ''}`.trim() : `${error}`,
  );
  return Promise.race([told, late]).finally(() => clearTimeout(timer));
}

const faults = new Faults(process.argv[2] ?? '');
// The launcher's own memory is kept from its children from here on.
await run('true');
faults.armNumber(numberOf('madvise'), 'ENOMEM');
const withoutReport = await outcome(run('true'));
faults.disarm();

const { id } = await createContainer({ detached: true, command: ['sleep', '600'] });
const open = async () => {
  const box = await Container.open(id);
  return box.exec('true');
};
faults.armNumber(numberOf('sendmsg'), 'EPERM');
const unheard = await outcome(open());
faults.disarm();
const next = await outcome(open());
await Container.remove(id, { force: true });

/**
 * The first outcome that is `wanted` of attempts in which one call after the other fails, until none
 * is left. Again if there was none: which call is the nth depends on what the process finds ready.
 */
async function outcomeWhere(
  role: Role,
  fault: FaultName,
  attempt: () => Promise<{ exitCode: number | null }>,
  wanted: (said: string, call: string) => boolean,
): Promise<string> {
  for (let round = 0; round < 10; round++) {
    for (let nth = 1; ; nth++) {
      faults.arm(role, nth, fault);
      const said = await outcome(attempt());
      const { count, call } = faults.hits;
      faults.disarm();
      if (count === 0) break;
      if (wanted(said, call)) return said;
    }
  }
  return 'never';
}

/** The outcome when a monitor's message to its creator, not to its init, is lost. */
function unheardBy(attempt: () => Promise<{ exitCode: number | null }>): Promise<string> {
  const toInit = /^(exit|ERR_CONTAINER_GONE)/;
  return outcomeWhere(
    'monitor',
    'EPIPE',
    attempt,
    (said, call) => call === 'sendmsg' && !toInit.test(said),
  );
}

const ids: string[] = [];
const createAndRemove = async () => {
  const name = newId();
  ids.push(name);
  const made = await createContainer({ id: name, detached: true });
  await made.remove({ force: true });
  return { exitCode: 0 };
};
const unanswered = await unheardBy(createAndRemove);
const undetached = await outcomeWhere('launcher', 'ENOMEM', createAndRemove, (said) =>
  said.startsWith('ERR_DETACH'),
);
const there = await Container.list({ all: true });
const leftOfIt = there.filter((each) => ids.includes(each.id)).length;

const box = await createContainer({ detached: true });
const letGo = await unheardBy(() => box.exec('true'));
const afterwards = await outcome(box.wait());
await Container.remove(box.id, { force: true });

/** A log of two files. */
async function rotate(): Promise<string> {
  const made = await createContainer({
    detached: true,
    command: ['sh', '-c', 'while read size; do head -c $size /dev/zero; done; echo end'],
    stdio: 'pipe',
    logs: { maxSize: 65536, maxFiles: 2 },
  });
  const { stdin } = await made.attach({ stdin: true });
  faults.armNumber(numberOf('renameat2'), 'ENOMEM');
  stdin?.write('100000\n');
  await until(() => faults.hits.count > 0);
  faults.disarm();
  stdin?.end();
  await made.wait();
  let [text, lost] = ['', 0];
  for await (const entry of made.logs()) {
    text += entry.data.toString();
    lost += entry.lost ?? 0;
  }
  await made.remove();
  return `${lost > 0 ? 'lost' : 'whole'}, then ${text.split('\0').at(-1)}`.trimEnd();
}
const rotated = await rotate();

const lasting = {
  withoutReport,
  unheard,
  next,
  unanswered,
  undetached,
  leftOfIt,
  letGo,
  afterwards,
  rotated,
};
say(lasting satisfies LastingFaults);
faults.close();
process.exit(0);
