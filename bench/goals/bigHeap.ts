import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Check, compare, type Effort, type Part, type Section } from '../goal.js';
import { plainSpawn } from '../plain.js';
import { interleave, type Measurements } from '../rounds.js';
import { summarize } from '../statistics.js';
import { ringfortRun } from './coldRun.js';

const chunk = 64 << 20;

/** A heap of 1 GiB that is really there: every page is written. */
function fill(): Buffer[] {
  return Array.from({ length: 2 ** 30 / chunk }, () => Buffer.alloc(chunk, 1));
}

/** How long the event loop has stood still at most while something was done; ms. */
async function longestStall(stalls: number[], task: () => Promise<number>): Promise<number> {
  const resolution = 1;
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  // Its timer has to have run before, so that what the task does at once counts.
  await new Promise((resolve) => setTimeout(resolve, 3));
  try {
    return await task();
  } finally {
    await new Promise((resolve) => setTimeout(resolve, 2 * resolution));
    delay.disable();
    stalls.push(Math.max(0, delay.max / 1e6 - resolution));
  }
}

async function measure({ scale }: Effort): Promise<Section[]> {
  const heap = fill();
  const stalls: Measurements = new Map();
  const row = (name: string, task: () => Promise<number>) => {
    const list: number[] = [];
    stalls.set(name, list);
    return { name, run: () => longestStall(list, task) };
  };
  const rounds = Math.ceil(25 * scale);
  const idle = () => new Promise<number>((resolve) => setTimeout(() => resolve(3), 3));
  const rows = await interleave(
    [
      row('plain spawn', () => plainSpawn('/usr/bin/true')),
      row('ringfort', ringfortRun),
      row('nothing (timer)', idle),
    ],
    { rounds },
  );
  for (const list of stalls.values()) list.splice(0, list.length - rounds);
  if (heap.length === 0) throw new Error('no heap');
  const { p50, p90, max } = summarize(stalls.get('ringfort') ?? []);
  const longest = (which: string, value: number): Check => ({
    goal: 'P5',
    what: `longest stall of the event loop in one run, ${which} of all runs`,
    found: { value, unit: 'ms' },
    most: 1,
  });
  return [
    {
      title: 'Cold run with 1 GiB of Buffers in the process',
      unit: 'ms',
      rows,
      checks: [
        compare(rows, ['P5', 'ringfort', 'plain spawn'], { most: 0.05 }),
        longest('median', p50),
        longest('p90', p90),
        longest('longest', max),
      ],
    },
    { title: 'Longest stall of the event loop during it', unit: 'ms', rows: stalls, checks: [] },
  ];
}

/** P5; fills the heap, so it comes last. */
export const bigHeap: Part = { names: ['P5'], measure };
