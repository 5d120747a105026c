import type { Container } from '../lib/index.js';
import { end, fill, type Network, timeRun, timeSpawn } from './scaleBoxes.js';
import { Peer } from './scalePeer.js';
import { check, fixed, median, print, quantile, ratio, spread } from './scaleTable.js';

/** What is timed beside a number of live containers. */
type Row = 'here' | 'elsewhere' | 'spawn' | 'unshare --net';
/** By live containers, then by row: the values of each round. */
type Taken = Map<number, Map<Row, number[][]>>;

function shuffled<T>(rows: readonly T[]): T[] {
  return rows
    .map((row) => ({ row, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ row }) => row);
}

async function measure(network: Network, peer: Peer, times: number): Promise<Map<Row, number[]>> {
  const rows: [Row, () => Promise<number>][] = [
    ['here', () => timeRun(network)],
    ['elsewhere', () => peer.time(network)],
    ['spawn', () => timeSpawn('true')],
    ...(network === 'none' && process.getuid?.() === 0
      ? ([['unshare --net', () => timeSpawn('unshare', '--net', 'true')]] as const)
      : []),
  ] as [Row, () => Promise<number>][];
  const values = new Map(rows.map(([row]) => [row, [] as number[]]));
  for (let i = 0; i < times; i++) {
    // What the kernel does after a launch, when it takes down the memory cgroup an RCU grace period
    // later, falls on the row after the next: in another order each time, not always on the same.
    for (const [row, time] of shuffled(rows)) values.get(row)?.push(await time());
  }
  return values;
}

function add(taken: Taken, level: number, values: Map<Row, number[]>): void {
  const rows = taken.get(level) ?? new Map<Row, number[][]>();
  for (const [row, list] of values) rows.set(row, [...(rows.get(row) ?? []), list]);
  taken.set(level, rows);
}

/** Round by round, the medians of one cell over those of another. */
function ratios(over: number[][] = [], under: number[][] = []): number[] {
  return over.map((values, round) => median(values) / median(under[round] ?? []));
}

/** The goals: for a net namespace of its own, what `unshare --net` grows by. */
function goals(network: Network, taken: Taken): void {
  const [none, all] = [taken.get(0), [...taken.values()].at(-1)];
  const count = [...taken.keys()].at(-1);
  const growth = (row: Row) => ratios(all?.get(row), none?.get(row));
  const what = `beside ${count} live / beside none`;
  const kernel = growth('unshare --net');
  if (network === 'host') check({ goal: 'P10', what, found: ratio(growth('here')), most: 1.2 });
  else
    check({
      goal: 'P10',
      what: `${what}, own net, / the same of unshare --net`,
      most: 1.2,
      ...(kernel.length === 0
        ? { absent: 'unshare --net needs root' }
        : { found: ratio(growth('here').map((each, i) => each / (kernel[i] ?? Number.NaN))) }),
    });
  check({
    goal: 'P10',
    what: `beside ${count} live, who holds them / who does not, ${network === 'none' ? 'own' : 'host’s'} net`,
    found: ratio(ratios(all?.get('here'), all?.get('elsewhere'))),
  });
}

function report(network: Network, taken: Taken): void {
  goals(network, taken);
  const none = taken.get(0);
  const rows: string[][] = [];
  for (const [level, cells] of taken) {
    for (const [row, rounds] of cells) {
      const all = rounds.flat();
      rows.push([
        `${level} live`,
        row,
        fixed(quantile(all, 0), 2),
        fixed(median(all), 2),
        fixed(quantile(all, 0.9), 2),
        level === 0 ? '' : spread(ratios(rounds, none?.get(row))),
        row === 'here' ? spread(ratios(rounds, cells.get('elsewhere'))) : '',
      ]);
    }
  }
  const what = network === 'none' ? 'with a net namespace each' : "in the host's net namespace";
  print(
    `P10: run('true') beside live containers, all ${what} (ms)`,
    ['beside', 'row', 'min', 'p50', 'p90', 'against 0 live', 'here / elsewhere'],
    rows,
  );
}

/**
 * A launch beside live containers: in the process that holds them, in one that holds none, and,
 * for the noise of the machine and the kernel's own growth, a plain spawn and a net namespace.
 * Each round goes from none to `count`.
 */
export async function growth(count: number, rounds: number): Promise<void> {
  const levels = [0, 0.1, 0.5, 1].map((share) => Math.round(count * share));
  for (const network of ['host', 'none'] as const) {
    const taken: Taken = new Map();
    const boxes: Container[] = [];
    const peer = await Peer.start();
    await measure(network, peer, 5); // both launchers are there, the code is warm
    try {
      for (let round = 0; round < rounds; round++) {
        for (const level of levels) {
          await fill(boxes, level, network);
          add(taken, level, await measure(network, peer, 25));
        }
        await end(boxes);
      }
    } finally {
      await end(boxes);
      await peer.close();
    }
    report(network, taken);
  }
  console.log(
    '\n`here` holds the containers, `elsewhere` is a process on the same machine that holds none: ' +
      'their ratio is what ringfort itself adds, the growth of `elsewhere` is the kernel’s. ' +
      'Goal: 1.2 × without an own net namespace.',
  );
}
