/**
 * Cycles of containers and of programs in them, in a process of its own, under node --expose-gc:
 * `cycles.js [cycles] [execs] [warm-up]`. Prints a table of what there was before and after each
 * phase, and ends with 1 where something is not at its baseline.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename } from 'node:path';
import { type Container, type CreateOptions, createContainer } from '../../lib/index.js';
import { containerCgroups, descendants, launcherPid, residentBytes } from './leaks.js';

/** What is counted; each must be as before, memory within `tolerance` of it. */
const counts = {
  'Node fds': () => entries('/proc/self/fd'),
  'launcher fds': (launcher: number) => entries(`/proc/${launcher}/fd`),
  'Node threads': () => entries('/proc/self/task'),
  mounts: () => lines('/proc/self/mountinfo'),
  'launcher mounts': (launcher: number) => lines(`/proc/${launcher}/mountinfo`),
  cgroups: () => containerCgroups().filter((path) => ids.has(basename(path).slice(prefix))).length,
  files: () => entries(tmpdir()),
  processes: () => descendants().length,
  'Node RSS KiB': () => residentBytes() >> 10,
  'launcher RSS KiB': (launcher: number) => residentBytes(launcher) >> 10,
} as const;
type Counted = Record<keyof typeof counts, number>;

const tolerance = 1.15;
const prefix = 'ringfort-'.length;
/** Of the containers that were made here: others' come and go beside them. */
const ids = new Set<string>();

/** 0 where we may not look: at an ordinary user's launcher. */
function entries(directory: string): number {
  try {
    return readdirSync(directory).length;
  } catch {
    return 0;
  }
}

function lines(file: string): number {
  try {
    return readFileSync(file, 'utf8').split('\n').length;
  } catch {
    return 0;
  }
}

async function count(): Promise<Counted> {
  const launcher = await launcherPid();
  const found = Object.entries(counts).map(([name, look]) => [name, look(launcher)]);
  return Object.fromEntries(found) as Counted;
}

function excess(before: Counted, now: Counted): (keyof Counted)[] {
  return (Object.keys(counts) as (keyof Counted)[]).filter(
    (name) => now[name] > before[name] * (name.includes('RSS') ? tolerance : 1),
  );
}

/** Counts once the garbage collector has had its say and the kernel has removed what is dying. */
async function settled(before?: Counted): Promise<Counted> {
  for (let looks = 0; ; looks++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await count();
    const rest = looks >= (before === undefined ? 3 : 100);
    if (rest || (before !== undefined && excess(before, now).length === 0)) return now;
  }
}

/** Calls `body` so many times, so many at once. */
async function repeat(times: number, atOnce: number, body: (index: number) => Promise<void>) {
  let next = 0;
  const worker = async () => {
    while (next < times) await body(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
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
  ids.add(box.id);
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
  await repeat(times, atOnce, body);
  const seconds = (performance.now() - since) / 1000;
  const after = await settled(before);
  const bad = excess(before, after);
  console.log(`\n${title}: ${times}, ${atOnce} at once, ${(times / seconds).toFixed(1)} a second`);
  for (const name of Object.keys(counts) as (keyof Counted)[]) {
    const [was, is] = [before[name], after[name]].map((each) => String(each).padStart(9));
    console.log(`  ${name.padEnd(18)}${was}${is}${bad.includes(name) ? '  above' : ''}`);
  }
  return bad.map((name) => `${title}: ${name}`);
}

async function main([cycles = 5000, execs = 2000, warm = 600]: number[]): Promise<number> {
  // The heap has found its size by then.
  const less = Math.ceil(warm / 4);
  const bad = [
    ...(await phase(['cycles', cycles, 1], warm, cycle)),
    ...(await phase(['cycles', cycles, cycles < 1000 ? 32 : 64], less, cycle)),
  ];
  for (const style of styles) {
    await using box = await createContainer(style);
    ids.add(box.id);
    const title = style.command === undefined ? 'execs by the init' : 'execs by joining';
    const exec = (index: number) => say(box, index);
    bad.push(...(await phase([title, execs, 1], less, exec)));
    bad.push(...(await phase([title, execs, 64], less, exec)));
  }
  if (wrong > 0) bad.push(`${wrong} programs went wrong`);
  console.log(bad.length === 0 ? '\nall at baseline' : `\n${bad.join('\n')}`);
  return bad.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2).map(Number));
