import { compare, type Effort, type Part, type Section } from '../goal.js';
import { Limit } from '../limit.js';
import { plainSpawn } from '../plain.js';
import { interleave, type Row, timed } from '../rounds.js';
import { ringfortRun } from './coldRun.js';

const flight = 16;

/** Runs a task so many times, `flight` of them at once; so many a second. */
async function perSecond(count: number, task: () => Promise<unknown>): Promise<number> {
  let left = count;
  const worker = async () => {
    while (left-- > 0) await task();
  };
  const ms = await timed(() => Promise.all(Array.from({ length: flight }, worker)));
  return (count / ms) * 1000;
}

async function measure({ scale }: Effort): Promise<Section[]> {
  const own = await Limit.start();
  const pooled = await Limit.start({ pooled: true });
  const count = Math.max(flight, Math.ceil(160 * scale));
  const many = (limit: Limit) => async () => (count / (await limit.many(count, flight))) * 1000;
  const rows: Row[] = [
    { name: 'plain spawn', run: () => perSecond(count, () => plainSpawn('/usr/bin/true')) },
    { name: 'ringfort', run: () => perSecond(count, ringfortRun) },
    ...(typeof own === 'string' ? [] : [{ name: 'limit', run: many(own) }]),
    ...(typeof pooled === 'string' ? [] : [{ name: 'limit, pooled net', run: many(pooled) }]),
  ];
  try {
    const measured = await interleave(rows, { rounds: Math.ceil(10 * scale), warmUps: 1 });
    return [
      {
        title: `Throughput of \`true\`, ${flight} in flight`,
        unit: 'containers/s',
        rows: measured,
        checks: [
          compare(measured, ['P7', 'ringfort', 'plain spawn'], { least: 3 }),
          compare(measured, ['P7', 'ringfort', 'limit, pooled net'], { least: 0.8 }),
          compare(measured, ['P7', 'ringfort', 'limit'], {}),
        ],
        absent: typeof own === 'string' ? [own] : [],
      },
    ];
  } finally {
    for (const limit of [own, pooled]) if (typeof limit !== 'string') limit.close();
  }
}

/** P7. */
export const throughput: Part = { names: ['P7'], measure };
