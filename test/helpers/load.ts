/**
 * Many live containers with traffic, bombs in some of them: `load.js [--containers N] [--bombs N]
 * [--seconds N] [--rounds N]`. Prints a table of what a round trip takes without and with the bombs
 * beside it, and ends with 1 where something was lost, mixed up or left.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { type Container, createContainer } from '../../lib/index.js';
import { expectNoLeaks, snapshot, warmUp } from './leaks.js';
import { Bombed, bombs } from './loadBombs.js';
import { Echo } from './loadEcho.js';

const { values } = parseArgs({
  options: {
    containers: { type: 'string', default: '500' },
    bombs: { type: 'string', default: '24' },
    seconds: { type: 'string', default: '15' },
    rounds: { type: 'string', default: '2' },
  },
});
const [containers, bombCount, seconds, rounds] = [
  ...[values.containers, values.bombs, values.seconds, values.rounds].map(Number),
] as [number, number, number, number];

const bad: string[] = [];

/** What was seen in one kind of phase, all rounds together. */
interface Seen {
  times: number[];
  execs: number[];
  /** ms that the event loop was late: p50, p99 and most of each round. */
  late: [number, number, number][];
}
/** Without bombs; with bombs held to `cpus: 0.02` each; with bombs as they come. */
const seen = {
  calm: { times: [], execs: [], late: [] } as Seen,
  held: { times: [], execs: [], late: [] } as Seen,
  free: { times: [], execs: [], late: [] } as Seen,
};

function quantile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Creates so many, eight at a time. */
async function many<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count) made.push(await make(next++));
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return made;
}

/** One program that comes and goes, and what it took. */
async function exec(box: Container, index: number, times: number[]): Promise<void> {
  const since = performance.now();
  const { stdout, stderr, exitCode } = await box.exec('echo', [box.id, String(index)]);
  times.push(performance.now() - since);
  if (stdout !== `${box.id} ${index}\n` || stderr !== '' || exitCode !== 0)
    bad.push(`exec in ${box.id}: ${exitCode}, ${JSON.stringify(stdout + stderr)}`);
}

/**
 * Programs one after another, in ever other containers.
 * @returns the last one, which may still be held up (by a page of a file that a thrashing guest has
 * locked): its time counts, and it has to end once the bombs are gone
 */
async function execs(
  boxes: Container[],
  signal: AbortSignal,
  times: number[],
): Promise<{ last: Promise<void> }> {
  const over = new Promise((resolve) => signal.addEventListener('abort', resolve));
  for (let i = 0; ; i++) {
    const last = exec(boxes[(i * 7) % boxes.length] as Container, i, times);
    await Promise.race([last, over]);
    if (signal.aborted) return { last };
  }
}

/** @returns the last program, see `execs` */
async function talk(
  kind: keyof typeof seen,
  boxes: Container[],
  echoes: Echo[],
): Promise<{ last: Promise<void> }> {
  const resolution = 5;
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  const signal = AbortSignal.timeout(seconds * 1000);
  const [ran, times] = await Promise.all([
    execs(boxes, signal, seen[kind].execs),
    Promise.all(echoes.map((echo) => echo.chat(signal))),
  ]);
  delay.disable();
  const late = [delay.percentile(50), delay.percentile(99), delay.max].map(
    // It measures from tick to tick.
    (ns) => Math.max(0, ns / 1e6 - resolution),
  );
  seen[kind].times.push(...times.flat());
  seen[kind].late.push(late as [number, number, number]);
  return ran;
}

async function bombed(kind: 'held' | 'free', boxes: Container[], echoes: Echo[]): Promise<void> {
  const kinds = Object.keys(bombs);
  const cpus = kind === 'held' ? 0.02 : undefined;
  const lit = await many(bombCount, (i) => Bombed.light(kinds[i % kinds.length] as string, cpus));
  const { last } = await talk(kind, boxes, echoes);
  const burning = await Promise.all(lit.map((each) => each.burns()));
  for (const [i, { kind, mixed }] of lit.entries()) {
    if (!burning[i]) bad.push(`a bomb did not go off: ${kind}`);
    if (mixed) bad.push(`what a ${kind} bomb printed was mixed up`);
  }
  const ended = await Promise.all(lit.map((each) => each.end()));
  console.log(`${lit.length} bombs, all gone after ${Math.max(...ended).toFixed(0)} ms`);
  await last;
}

function report(): void {
  const cell = (list: readonly number[], share: number) => quantile(list, share).toFixed(2);
  const worst = (list: Seen['late'], i: 0 | 1 | 2) => Math.max(...list.map((late) => late[i]));
  const row = (name: string, pick: (from: Seen) => string) => {
    const [calm, ...others] = [seen.calm, seen.held, seen.free].map(pick);
    const cells = others.map((ms) => `${ms} | ${(Number(ms) / Number(calm)).toFixed(2)} ×`);
    console.log(`| ${[name, calm, ...cells].join(' | ')} |`);
  };
  console.log('\n| ms | calm | bombs with cpus: 0.02 | | bombs as they come | |');
  console.log('|---|---:|---:|---:|---:|---:|');
  for (const share of [0.5, 0.9, 0.99])
    row(`round trip, p${share * 100}`, (from) => cell(from.times, share));
  for (const share of [0.5, 0.99])
    row(`exec of echo, p${share * 100}`, (from) => cell(from.execs, share));
  for (const [i, name] of ['p50', 'p99', 'most'].entries())
    row(`event loop late, ${name}`, (from) => worst(from.late, i as 0 | 1 | 2).toFixed(2));
  const count = (from: Seen) => `${from.times.length} round trips, ${from.execs.length} execs`;
  console.log(
    `\n${Object.entries(seen)
      .map(([kind, from]) => `${kind}: ${count(from)}`)
      .join('; ')}`,
  );
}

async function main(): Promise<void> {
  await warmUp();
  {
    await using box = await createContainer();
    await box.exec('true');
  }
  const before = snapshot();
  const since = performance.now();
  const boxes = await many(containers, () => createContainer());
  console.log(`${containers} containers after ${(performance.now() - since).toFixed(0)} ms`);
  const echoes = boxes.map((box, index) => new Echo(box, index));
  await Promise.all(echoes.map((echo) => echo.ping()));
  for (let round = 0; round < rounds; round++) {
    await (await talk('calm', boxes, echoes)).last;
    await bombed('held', boxes, echoes);
    await bombed('free', boxes, echoes);
  }
  const results = await Promise.all(echoes.map((echo) => echo.finish()));
  const bytes = results.filter((result) => typeof result === 'number');
  bad.push(...results.filter((result) => typeof result === 'string'));
  const sum = bytes.reduce((total, each) => total + each, 0);
  const end = performance.now();
  await Promise.all(boxes.map((box) => box[Symbol.asyncDispose]()));
  console.log(`all gone after ${(performance.now() - end).toFixed(0)} ms`);
  report();
  console.log(`\n${(sum / 1e6).toFixed(1)} MB came back, through ${bytes.length} programs`);
  await expectNoLeaks(before).catch((error: Error) => bad.push(error.message));
  console.log(bad.length === 0 ? 'nothing lost, mixed up or left' : bad.join('\n'));
  process.exitCode = bad.length === 0 ? 0 : 1;
}

await main();
