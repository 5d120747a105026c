// Attempts with one plan, of whose system calls one fails in each: `faultWorker.js <launcher>
// <directory> <plan> <role> <all | number of attempts> <seed>`. Prints lines of JSON, `FaultLine`.
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ContainerError, ContainerGoneError } from '../../lib/errors.js';
import { readJournal } from '../../lib/host/journal.js';
import { type Container, createContainer } from '../../lib/index.js';
import { run } from '../../lib/run.js';
import { supervisor } from '../../lib/supervisor.js';
import { type Attempt, type FaultPlan, faultPlans, type Place, type Prepared, takeMarks } from './faultPlans.js';
import { type FaultName, Faults, faultNames, type Role } from './faults.js';
import { descendants, ownCgroups, processName } from './leaks.js';
import { randomFrom } from './random.js';
import { journalPath, say } from './stoppingLauncher.js';

/** What a worker says: of each attempt in which something did not hold, and of all in the end. */
export type FaultLine =
  | { problem: string[]; nth: number; fault: FaultName; call: number }
  | {
      calls: number;
      tried: Partial<Record<FaultName, number>>;
      held: Partial<Record<FaultName, number>>;
    };

const [launcher = '', directory = '', name = '', roleName = '', sample = '', seed = ''] =
  process.argv.slice(2);
const role = roleName as Role;
const plan = faultPlans.find((each) => each.name === name) as FaultPlan;
const faults = new Faults(launcher);

/** Nothing takes as long; what does, hangs. */
const patience = 20_000;

/** What there is of this process and its launcher. */
async function traces(): Promise<Map<string, number>> {
  const { launcher: now } = await supervisor();
  const found = [
    ...fds('self').map((fd) => `fd ${fd}`),
    ...fds(now.pid).map((fd) => `launcher’s fd ${fd}`),
    ...descendants().map((pid) => `process ${pid} ${processName(pid)}`),
    ...ownCgroups().flatMap((parent) => below(parent).map((path) => `cgroup ${path}`)),
    ...readJournal(readFileSync(journalPath())).map(({ path }) => `journal ${path}`),
    ...lines('/proc/self/mountinfo').map((line) => `mount ${line}`),
    ...lines(`/proc/${now.pid}/mountinfo`).map((line) => `launcher’s mount ${line}`),
    ...lines('/proc/self/net/dev').map((line) => `device ${line.split(':')[0]}`),
    ...readdirSync(process.env.TMPDIR ?? '').map((file) => `file ${file}`),
  ];
  const counts = new Map<string, number>();
  for (const each of found) counts.set(each, (counts.get(each) ?? 0) + 1);
  return counts;
}

/** The kinds of a process's descriptors; nothing where we may not look. */
function fds(pid: number | 'self'): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/(socket|pipe):.*/, '$1')];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** The cgroups of containers that were made here. */
function below(parent: string): string[] {
  return place.ids.flatMap((id) => tree(join(parent, `ringfort-${id}`)));
}

function tree(path: string): string[] {
  try {
    const names = readdirSync(path, { withFileTypes: true });
    const inside = names.filter((each) => each.isDirectory());
    return [path, ...inside.flatMap((each) => tree(join(path, each.name)))];
  } catch {
    return [];
  }
}

/**
 * What is there now and was not there before, 5 s later still.
 * @param restarted another launcher is there now
 */
async function left(before: Map<string, number>, restarted: boolean): Promise<string[]> {
  for (const end = performance.now() + 5000; ; await sleep(5)) {
    const { launcher: now } = await supervisor();
    const news = new RegExp(`^launcher|^process ${now.pid} `);
    const more = [...(await traces())].filter(
      ([each, count]) => count > (before.get(each) ?? 0) && !(restarted && news.test(each)),
    );
    if (more.length === 0 || performance.now() > end) return more.map(([each]) => `left: ${each}`);
  }
}

/** An error of ours that says where, or of a call on a file as Node's own. */
function isTyped(error: unknown): boolean {
  if (error instanceof ContainerGoneError) return true;
  if (error instanceof ContainerError)
    return (
      error.step !== undefined || (error.phase === 'launcher' && error.code.startsWith('ERR_'))
    );
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  return name === 'files' && /^E[A-Z]+$/.test(code) && syscall !== undefined;
}

function words(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return `${code}: ${message}`;
}

/** What is wrong with an outcome. */
function judge(attempt: Attempt, fault: FaultName, marks: string): string[] {
  const { started, ended, error } = attempt;
  const problems: string[] = [];
  if (ended && error === undefined) {
    if (started && marks !== 'ran\n') problems.push(`ended with 0, and said ${marks}`);
    return problems;
  }
  if (error !== undefined && !isTyped(error)) problems.push(`no error of ours: ${words(error)}`);
  if (!started && error === undefined) problems.push('not done, and no error');
  if (!started && marks !== '') problems.push(`ran without having started: ${words(error)}`);
  if (started && error === undefined) problems.push('ended otherwise, and no error');
  if (fault === 'EINTR') problems.push(`an interruption was seen: ${words(error)}`);
  return problems;
}

const place: Place = {
  directory: join(directory, 'place'),
  marks: join(directory, 'marks'),
  ids: [],
};
let sibling: Container | undefined;
let prepared: Prepared | undefined;
let before = new Map<string, number>();

/** All that stands while attempts are made. */
async function prepareAll(): Promise<void> {
  faults.reset();
  if (sibling === undefined || sibling.state !== 'running') {
    sibling = await createContainer();
    prepared = undefined;
  }
  if (prepared === undefined) {
    mkdirSync(place.directory);
    chmodSync(place.directory, 0o755);
    writeFileSync(place.marks, '', { mode: 0o666 });
    chmodSync(place.marks, 0o666);
    prepared = await plan.prepare(place);
    await run('true');
  }
  before = await traces();
}

async function limited<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, patience, undefined);
  });
  const first = await Promise.race([promise, late]);
  clearTimeout(timer);
  return first;
}

/** The launcher is killed: whatever hung goes on. */
async function abandon(): Promise<void> {
  const { launcher: now } = await supervisor();
  process.kill(now.pid, 'SIGKILL');
  await sleep(200);
}

/** The next container, and the one beside it, after the fault. */
async function aftermath(): Promise<string[]> {
  const problems: string[] = [];
  const check = async (what: string, call: Promise<{ exitCode: number | null }>) => {
    try {
      const { exitCode } = await call;
      if (exitCode !== 0) problems.push(`${what}: exit ${exitCode}`);
    } catch (error) {
      problems.push(`${what}: ${words(error)}`);
    }
  };
  const box = prepared?.box;
  if (sibling?.state !== 'running') problems.push('the sibling has ended');
  else await check('the sibling', sibling.exec('true'));
  if (box !== undefined && box.state !== 'running') problems.push('the container has ended');
  else if (box !== undefined) await check('the container', box.exec('true'));
  await check('the next', run('true'));
  return problems;
}

interface Made {
  hits: number;
  call: number;
  problems: string[];
}

/** What is prepared is made anew for the next attempt. */
async function forget(): Promise<void> {
  await prepared?.box?.[Symbol.asyncDispose]().catch(() => {});
  prepared = undefined;
  rmSync(place.directory, { recursive: true, force: true });
  place.ids.length = 0;
}

/** One attempt, with one fault. */
async function attemptWith(nth: number, fault: FaultName): Promise<Made> {
  await prepareAll();
  const { launcher: own } = await supervisor();
  faults.arm(role, nth, fault);
  const attempt = await limited((prepared as Prepared).attempt());
  const { count: hits, number: call } = faults.hits;
  counted = Math.max(counted, faults.count(role));
  faults.disarm();
  const problems = attempt === undefined ? ['hangs'] : judge(attempt, fault, takeMarks(place));
  if (attempt === undefined) await abandon();
  const gone = own.gone !== undefined;
  if (gone && attempt !== undefined) problems.push('the launcher has ended');
  const rest = gone || hits === 0 ? [] : await limited(aftermath());
  if (rest === undefined) await abandon();
  problems.push(...(rest ?? ['what comes next hangs']));
  if (prepared?.once === true) await prepared.box?.[Symbol.asyncDispose]();
  if (hits > 0) problems.push(...(await left(before, gone)));
  if (prepared?.once === true || problems.length > 0 || gone) await forget();
  return { hits, call, problems };
}

/** Which call, and how it fails, in the order of their turn. */
function* choices(calls: number): Generator<[nth: number, fault: FaultName]> {
  if (sample === 'all') {
    for (let nth = 1; nth <= calls; nth++) for (const fault of faultNames) yield [nth, fault];
    return;
  }
  const random = randomFrom(Number(seed));
  for (let left = Number(sample); left > 0; left--) {
    const nth = 1 + Math.floor(random() * calls);
    yield [nth, faultNames[Math.floor(random() * faultNames.length)] as FaultName];
  }
}

let counted = 0;
for (let warm = 0; warm < 3; warm++) {
  const { problems } = await attemptWith(0, 'EPERM');
  if (problems.length > 0) throw new Error(`without a fault: ${problems}`);
  if (warm === 0) counted = 0;
}
const calls = counted;
const tried: Partial<Record<FaultName, number>> = {};
const held: Partial<Record<FaultName, number>> = {};
for (const [nth, fault] of choices(calls)) {
  const { hits, call, problems } = await attemptWith(nth, fault);
  if (hits === 0 && problems.length === 0) continue;
  tried[fault] = (tried[fault] ?? 0) + 1;
  if (problems.length === 0) held[fault] = (held[fault] ?? 0) + 1;
  else say({ problem: problems, nth, fault, call } satisfies FaultLine);
}
await forget();
await sibling?.[Symbol.asyncDispose]();
faults.close();
say({ calls, tried, held } satisfies FaultLine);
process.exit(0);
