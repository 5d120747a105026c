import { monitorEventLoopDelay } from 'node:perf_hooks';
import { timeRun, timeSpawn } from './scaleBoxes.js';
import { fixed, median, print, quantile, spread } from './scaleTable.js';

const rows: readonly [string, () => Promise<number>][] = [
  ["run, host's net", () => timeRun('host')],
  ['run, own net', () => timeRun('none')],
  ['plain spawn', () => timeSpawn('true')],
];

/** One batch: its times, its seconds, and how late the event loop was. */
interface Batch {
  times: number[];
  perSecond: number;
  late: number;
}

async function batch(time: () => Promise<number>, size: number, atOnce: number): Promise<Batch> {
  const times: number[] = [];
  let left = size;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const since = performance.now();
  const worker = async () => {
    while (left-- > 0) times.push(await time());
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const perSecond = size / ((performance.now() - since) / 1000);
  delay.disable();
  return { times, perSecond, late: delay.percentile(99) / 1e6 };
}

/** Throughput and tail with 1, 16 and 64 launches in flight; the rows of a round interleaved. */
export async function flight(rounds: number): Promise<void> {
  const found = new Map<string, Batch[]>();
  for (let round = 0; round <= rounds; round++) {
    for (const atOnce of [1, 16, 64]) {
      for (const [name, time] of rows) {
        const taken = await batch(time, atOnce === 1 ? 32 : 192, atOnce);
        const key = `${atOnce}|${name}`;
        // The first round warms up.
        if (round > 0) found.set(key, [...(found.get(key) ?? []), taken]);
      }
    }
  }
  const table = [...found].map(([key, batches]) => {
    const [atOnce = '', name = ''] = key.split('|');
    const times = batches.flatMap((each) => each.times);
    const spawns = found.get(`${atOnce}|plain spawn`) ?? [];
    const against = batches.map((each, i) => each.perSecond / (spawns[i]?.perSecond ?? 0));
    return [
      atOnce,
      name,
      fixed(median(batches.map((each) => each.perSecond)), 0),
      spread(against),
      fixed(median(times)),
      fixed(quantile(times, 0.9)),
      fixed(quantile(times, 0.99)),
      fixed(median(batches.map((each) => each.late))),
    ];
  });
  print(
    'In flight (ms)',
    ['at once', 'row', 'a second', 'against spawn', 'p50', 'p90', 'p99', 'event loop late, p99'],
    table,
  );
}
