/**
 * Cycles of containers and of programs in them, in a process of its own, under node --expose-gc:
 * `cycles.js [--count N] [--execs N] [--warm N]`. Prints a table of what there was before and after
 * each phase, and ends with 1 where something is not at its baseline. How the time of a cycle grows
 * is said, and does not count.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Container, type CreateOptions, createContainer } from '../../lib/index.js';
import { type LauncherView, viewOwnLauncher } from './launcherView.js';
import { containerCgroups, descendants, launcherPid, ownCgroups, residentBytes } from './leaks.js';

/** What is counted; each must be as before, memory within `tolerance` of it. */
const counts = {
  // First: the other looks make garbage.
  'Node heap KiB': () => heapBytes() >> 10,
  'Node RSS KiB': () => residentBytes() >> 10,
  'Node fds': () => entries('/proc/self/fd'),
  'launcher fds': ({ fds }: LauncherView) => fds,
  'Node threads': () => entries('/proc/self/task'),
  mounts: () => lines('/proc/self/mountinfo'),
  'launcher mounts': ({ mounts }: LauncherView) => mounts,
  cgroups: () => ownContainers().length,
  files: () => entries(tmpdir()),
  'journal entries': ({ journal }: LauncherView) => journal,
  processes: () => descendants().length,
  'net devices': () => lines('/proc/self/net/dev'),
  keys: () => lines('/proc/keys'),
  // Of all the machine, whose other containers come and go: not judged.
  'users with keys': () => lines('/proc/key-users'),
  // What the kernel has not freed yet, such as a cgroup whose pages somebody else still uses.
  'dying cgroups': () =>
    sum(ownCgroups().map((path) => field(join(path, 'cgroup.stat'), 'nr_dying_descendants'))),
  'launcher RSS KiB': (launcher: LauncherView) => launcher.residentBytes >> 10,
} as const;
type Counted = Record<keyof typeof counts, number>;

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    execs: { type: 'string', default: '2000' },
    // The heap has found its size by then: it grows for some 2,000, and then for 10,000 no more.
    warm: { type: 'string', default: '2500' },
  },
});
const [count, execs, warm] = [options.count, options.execs, options.warm].map(Number) as [
  number,
  number,
  number,
];
/** A short run ends before the heap has found its size. */
const tolerance = count < 5000 ? 1.15 : 1.05;
/** Dying cgroups are judged by their trend: one in a hundred cycles may have left one. */
const dyingShare = 0.01;
/** Whose p99 is compared at the two ends of a phase. */
const ends = 500;
const prefix = 'ringfort-'.length;
const idDigits = 12;
/**
 * Ids of the containers that were made here, one after another: others' come and go beside them. In
 * one piece from the beginning, so that the heap which is looked at does not grow by them.
 */
const made = Buffer.alloc(idDigits * 3 * (count + warm + execs));
let madeCount = 0;

function note(id: string): void {
  made.write(id, idDigits * madeCount++, 'latin1');
}

function ownContainers(): string[] {
  const ids = made.toString('latin1').match(/[0-9a-f]{12}/g);
  const own = new Set<string>(ids ?? []);
  return containerCgroups().filter((path) => own.has(basename(path).slice(prefix)));
}

function heapBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function entries(directory: string): number {
  return readdirSync(directory).length;
}

function lines(file: string): number {
  try {
    return readFileSync(file, 'utf8').split('\n').length;
  } catch {
    return 0;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** A value of a file of `name value` lines; 0 where there is none. */
function field(file: string, name: string): number {
  try {
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

async function look(): Promise<Counted> {
  const launcher = await viewOwnLauncher(await launcherPid());
  const found = Object.entries(counts).map(([name, look]) => [name, look(launcher)]);
  return Object.fromEntries(found) as Counted;
}

function allowed(name: keyof Counted, before: number): number {
  if (name === 'users with keys') return Number.POSITIVE_INFINITY;
  if (name === 'dying cgroups') return before + count * dyingShare;
  return name.endsWith('KiB') ? before * tolerance : before;
}

function excess(before: Counted, now: Counted): (keyof Counted)[] {
  return (Object.keys(counts) as (keyof Counted)[]).filter(
    (name) => now[name] > allowed(name, before[name]),
  );
}

/** Counts once the garbage collector has had its say and the kernel has removed what is dying. */
async function settled(before?: Counted): Promise<Counted> {
  for (let looks = 0; ; looks++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await look();
    const rest = looks >= (before === undefined ? 3 : 100);
    if (rest || (before !== undefined && excess(before, now).length === 0)) return now;
  }
}

/** Calls `body` so many times, so many at once. @returns the ms of each, in the order they ended */
async function repeat(times: number, atOnce: number, body: (index: number) => Promise<void>) {
  const taken = new Float64Array(times);
  let [next, ended] = [0, 0];
  const worker = async () => {
    while (next < times) {
      const since = performance.now();
      await body(next++);
      taken[ended++] = performance.now() - since;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return taken;
}

function p99(list: Float64Array): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length * 0.99)] ?? Number.NaN;
}

/** Whether it became slower: the ends of a phase that is long enough to have any. */
function sayTrend(taken: Float64Array): void {
  if (taken.length < 2 * ends) return;
  const [first, last] = [p99(taken.slice(0, ends)), p99(taken.slice(-ends))];
  const ratio = last / first;
  const verdict = ratio <= 1.2 ? 'met' : 'not met';
  const each = `${first.toFixed(1)} ms, ${last.toFixed(1)} ms`;
  console.log(
    `  p99 of the first and last ${ends}: ${each}: ${ratio.toFixed(2)} × (1.2: ${verdict})`,
  );
}

let wrong = 0;

async function say(box: Container, index: number): Promise<void> {
  const { stdout, exitCode } = await box.exec('echo', [`${index}`]);
  if (stdout !== `${index}\n` || exitCode !== 0) wrong++;
}

/** The two ways that a program gets into a container. */
const styles: CreateOptions[] = [{}, { command: ['sleep', '600'] }];

async function cycle(index: number): Promise<void> {
  await using box = await createContainer(styles[index % 2] ?? {});
  note(box.id);
  await say(box, index);
}

/** One phase: `warm` times, then measured. @returns what is above its baseline */
async function phase(
  [title, times, atOnce]: [title: string, times: number, atOnce: number],
  warm: number,
  body: (index: number) => Promise<void>,
): Promise<string[]> {
  await repeat(warm, atOnce, body);
  const before = await settled();
  const since = performance.now();
  const taken = await repeat(times, atOnce, body);
  const seconds = (performance.now() - since) / 1000;
  const after = await settled(before);
  const bad = excess(before, after);
  console.log(`\n${title}: ${times}, ${atOnce} at once, ${(times / seconds).toFixed(1)} a second`);
  for (const name of Object.keys(counts) as (keyof Counted)[]) {
    const [was, is] = [before[name], after[name]].map((each) => String(each).padStart(9));
    console.log(`  ${name.padEnd(18)}${was}${is}${bad.includes(name) ? '  above' : ''}`);
  }
  sayTrend(taken);
  return bad.map((name) => `${title}: ${name}`);
}

async function main(): Promise<number> {
  const less = Math.ceil(warm / 4);
  const bad = [
    ...(await phase(['cycles', count, 1], warm, cycle)),
    // As many: the heap of so many at once grows to its size first.
    ...(await phase(['cycles', count, count < 1000 ? 32 : 64], warm, cycle)),
  ];
  for (const style of styles) {
    await using box = await createContainer(style);
    note(box.id);
    const title = style.command === undefined ? 'execs by the init' : 'execs by joining';
    const exec = (index: number) => say(box, index);
    bad.push(...(await phase([title, execs, 1], less, exec)));
    bad.push(...(await phase([title, execs, 64], less, exec)));
  }
  if (wrong > 0) bad.push(`${wrong} programs went wrong`);
  console.log(bad.length === 0 ? '\nall at baseline' : `\n${bad.join('\n')}`);
  return bad.length === 0 ? 0 : 1;
}

process.exitCode = await main();
