// Attempts with one plan, of whose system calls one fails in each: `faultWorker.js <launcher>
// <directory> <plan> <all | number of attempts> <seed>`: every
// other attempt of a sample is the same whatever the seed. Prints lines of JSON, `FaultLine`.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { containersDir } from '../../lib/detached/stateDir.js';
import { ContainerError, ContainerGoneError } from '../../lib/errors.js';
import { readJournal } from '../../lib/host/journal.js';
import { type Container, createContainer } from '../../lib/index.js';
import type { LauncherClient } from '../../lib/launcher/launcher.js';
import { run } from '../../lib/run.js';
import { supervisor } from '../../lib/supervisor.js';
import {
  type Attempt,
  type FaultPlan,
  faultPlans,
  type Place,
  type Prepared,
  takeMarks,
} from './faultPlans.js';
import { type FaultName, Faults, faultNames, type Role } from './faults.js';
import { ownCgroups, processName } from './leaks.js';
import { randomFrom } from './random.js';
import { journalPath, journalPaths, say } from './useLauncher.js';

/** What a worker says: of each attempt in which something did not hold, and of all in the end. */
export type FaultLine =
  | { role: Role; problem: string[]; nth: number; fault: FaultName; call: string }
  | {
      role: Role;
      calls: number;
      missed: number;
      tried: Partial<Record<FaultName, number>>;
      held: Partial<Record<FaultName, number>>;
    };

const [launcher = '', directory = '', name = '', sample = '', seed = ''] = process.argv.slice(2);
const plan = faultPlans.find((each) => each.name === name) as FaultPlan;
const faults = new Faults(launcher);

/** Nothing takes as long; what does, hangs. */
const patience = 60_000;
/** Of an attempt that has not come by its call. */
const retries = 2;

/** The launcher that most attempts are made with, and its journal. */
let own: LauncherClient | undefined;
let journal = '';

async function ownLauncher(): Promise<LauncherClient> {
  const { launcher: now } = await supervisor();
  if (now !== own) journal = journalPath();
  own = now;
  return now;
}

/** All processes below this one, by what each thread of them knows: faster than all of /proc. */
function family(of: number | 'self' = 'self'): number[] {
  const threads = names(`/proc/${of}/task`);
  const files = threads.map((tid) => `/proc/${of}/task/${tid}/children`);
  const children = files.flatMap((file) => lines(file).join('').split(' ').filter(Boolean));
  return children.map(Number).flatMap((pid) => [pid, ...family(pid)]);
}

/** Of detached containers that were made here. */
function detachedDirectories(): string[] {
  if (!plan.roles.includes('monitor')) return [];
  const ours = new Set(place.ids);
  return names(containersDir()).filter((each) => ours.has(each));
}

/** What there is of this process and its launcher. */
async function traces(): Promise<Map<string, number>> {
  const now = await ownLauncher();
  const found = [
    ...fds('self').map((fd) => `fd ${fd}`),
    ...fds(now.pid).map((fd) => `launcher’s fd ${fd}`),
    ...family().map((pid) => `process ${pid} ${processName(pid)}`),
    ...ownCgroups().flatMap((parent) => below(parent).map((path) => `cgroup ${path}`)),
    ...readJournal(readFileSync(journal)).map(({ path }) => `journal ${path}`),
    ...journalPaths().flatMap((path) => (existsSync(path) && path !== journal ? [path] : [])),
    ...lines('/proc/self/mountinfo').map((line) => `mount ${line}`),
    ...lines(`/proc/${now.pid}/mountinfo`).map((line) => `launcher’s mount ${line}`),
    ...lines('/proc/self/net/dev').map((line) => `device ${line.split(':')[0]}`),
    ...names(process.env.TMPDIR ?? '').map((file) => `file ${file}`),
    ...detachedDirectories().map((name) => `state directory ${name}`),
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

function names(path: string): string[] {
  try {
    return readdirSync(path);
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

/** The cgroups of containers that were made here: of thousands, hardly any is still there. */
function below(parent: string): string[] {
  const ours = new Set(place.ids.map((id) => `ringfort-${id}`));
  return names(parent).flatMap((name) => (ours.has(name) ? tree(join(parent, name)) : []));
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

/** Whether a launcher has closed what it keeps as 0 to 2: a descriptor that is 0 by mistake. */
function lost(before: Map<string, number>, now: Map<string, number>): string[] {
  const standard = 'launcher’s fd /dev/null';
  return (now.get(standard) ?? 0) < (before.get(standard) ?? 0) ? [`lost: ${standard}`] : [];
}

/**
 * What is there now and was not there before, 1,000 looks later still.
 * @param restarted another launcher is there now
 */
async function left(before: Map<string, number>, restarted: boolean): Promise<string[]> {
  for (let looks = 1; ; looks++, await sleep(5)) {
    const now = await ownLauncher();
    const news = new RegExp(`^launcher|^process ${now.pid} `);
    const there = await traces();
    const more = [...there].filter(
      ([each, count]) => count > (before.get(each) ?? 0) && !(restarted && news.test(each)),
    );
    if (more.length > 0 && looks < 1000) continue;
    const less = restarted ? [] : lost(before, there);
    return [...more.map(([each]) => `left: ${each}`), ...less];
  }
}

/** An error of ours that says where, or one as Node's own: of a call on a file, of `spawn`. */
function isTyped(error: unknown): boolean {
  if (error instanceof Error && error.message.startsWith('spawn ')) return isTyped(error.cause);
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
function judge(attempt: Attempt, fault: FaultName, marks: string, unheard: boolean): string[] {
  const { started, ended, error } = attempt;
  const problems: string[] = [];
  if (ended && error === undefined) {
    if (started && marks !== 'ran\n') problems.push(`ended with 0, and said ${marks}`);
    return problems;
  }
  if (error !== undefined && !isTyped(error)) problems.push(`no error of ours: ${words(error)}`);
  if (!started && error === undefined) problems.push('not done, and no error');
  if (!started && marks !== '' && !unheard)
    problems.push(`ran without having started: ${words(error)}`);
  if (started && error === undefined && !unheard) problems.push('ended otherwise, and no error');
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
    before = await traces();
  }
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
  process.kill((await ownLauncher()).pid, 'SIGKILL');
  await sleep(200);
}

/** The next container, and the one beside it, after the fault. */
async function aftermath(unheard: boolean): Promise<string[]> {
  const problems: string[] = [];
  const checks: Promise<void>[] = [];
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
  else checks.push(check('the sibling', sibling.exec('true')));
  if (box !== undefined && box.state !== 'running' && !unheard)
    problems.push('the container has ended');
  else if (box !== undefined && !unheard) checks.push(check('the container', box.exec('true')));
  checks.push(check('the next', run('true')));
  await Promise.all(checks);
  return problems;
}

interface Made {
  hits: number;
  call: string;
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
async function attemptWith(role: Role, nth: number, fault: FaultName): Promise<Made> {
  await prepareAll();
  const used = await ownLauncher();
  faults.arm(role, nth, fault);
  const attempt = await limited((prepared as Prepared).attempt());
  for (const each of plan.roles)
    counted.set(each, Math.max(counted.get(each) ?? 0, faults.count(each)));
  // Before they are read: the launcher still makes calls, and the one that counts may be the next.
  faults.disarm();
  const { count: hits, call } = faults.hits;
  // Whom it cannot speak to is not there: with the launcher, or a first process, its own all end.
  const unheard = fault === 'EPIPE' && call.startsWith('send');
  const marks = takeMarks(place);
  const problems = attempt === undefined ? ['hangs'] : judge(attempt, fault, marks, unheard);
  if (attempt === undefined) await abandon();
  // It ends when it has read that nobody is there.
  for (let looks = 0; unheard && used.gone === undefined && looks < 100; looks++) await sleep(5);
  const gone = used.gone !== undefined;
  if (gone && attempt !== undefined && !unheard) problems.push('the launcher has ended');
  const rest = gone || hits === 0 ? [] : await limited(aftermath(unheard));
  if (rest === undefined) await abandon();
  problems.push(...(rest ?? ['what comes next hangs']));
  if (prepared?.once === true) await prepared.box?.[Symbol.asyncDispose]();
  if (hits > 0) problems.push(...(await left(before, gone)));
  if (prepared?.once === true || problems.length > 0 || gone || unheard) await forget();
  return { hits, call, problems };
}

/** The same; where not even what stands before it can be made, that is what an earlier one has left. */
async function attemptOrDamage(role: Role, nth: number, fault: FaultName): Promise<Made> {
  try {
    return await attemptWith(role, nth, fault);
  } catch (error) {
    await abandon();
    await forget();
    sibling = undefined;
    return { hits: 1, call: 'before it', problems: [words(error)] };
  }
}

/** Which call, and how it fails, in the order of their turn. */
function* choices(calls: number): Generator<[nth: number, fault: FaultName]> {
  if (calls === 0) return;
  if (sample === 'all') {
    for (let nth = 1; nth <= calls; nth++) for (const fault of faultNames) yield [nth, fault];
    return;
  }
  const fixed = randomFrom(1);
  const turning = randomFrom(Number(seed));
  for (let left = Number(sample); left > 0; left--) {
    const random = left % 2 === 0 ? fixed : turning;
    const nth = 1 + Math.floor(random() * calls);
    yield [nth, faultNames[Math.floor(random() * faultNames.length)] as FaultName];
  }
}

/** All attempts in which a call of one role fails. */
async function attempts(role: Role, calls: number): Promise<void> {
  const tried: Partial<Record<FaultName, number>> = {};
  const held: Partial<Record<FaultName, number>> = {};
  let missed = 0;
  for (const [nth, fault] of choices(calls)) {
    let made = await attemptOrDamage(role, nth, fault);
    const came = () => made.hits > 0 || made.problems.length > 0;
    // Some make a few calls fewer than the one that was counted. Only reads and writes can be short.
    const tries = fault === 'short' ? 0 : retries;
    for (let again = 0; again < tries && !came(); again++)
      made = await attemptOrDamage(role, nth, fault);
    if (!came()) {
      if (fault !== 'short') missed++;
      continue;
    }
    const { call, problems } = made;
    tried[fault] = (tried[fault] ?? 0) + 1;
    if (problems.length === 0) held[fault] = (held[fault] ?? 0) + 1;
    else say({ role, problem: problems, nth, fault, call } satisfies FaultLine);
  }
  say({ role, calls, missed, tried, held } satisfies FaultLine);
}

/** Calls of each role in one attempt; none where, as an ordinary user's programs, it has no part. */
const counted = new Map<Role, number>();
for (let warm = 0; warm < 3; warm++) {
  const { problems } = await attemptWith('launcher', 0, 'EPERM');
  if (problems.length > 0) throw new Error(`without a fault: ${problems}`);
  if (warm === 0) counted.clear();
}
for (const [role, calls] of [...counted]) await attempts(role, calls);
await forget();
await sibling?.[Symbol.asyncDispose]();
faults.close();
process.exit(0);
