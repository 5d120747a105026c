import { run } from '../../lib/index.js';
import { compare, type Effort, type Part, type Section } from '../goal.js';
import { Limit } from '../limit.js';
import { preparePeers } from '../peers.js';
import { plainSpawn } from '../plain.js';
import { interleave, type Row, timed } from '../rounds.js';

/** The default walls around `true`, from the call to its result. */
export async function ringfortRun(): Promise<number> {
  return timed(async () => {
    const { exitCode } = await run('/usr/bin/true');
    if (exitCode !== 0) throw new Error(`exit code ${exitCode}`);
  });
}

async function measure({ scale }: Effort): Promise<Section[]> {
  const limit = await Limit.start();
  const peers = await preparePeers();
  const rows: Row[] = [
    { name: 'plain spawn', run: () => plainSpawn('/usr/bin/true') },
    { name: 'ringfort', run: ringfortRun },
    ...(typeof limit === 'string' ? [] : [{ name: 'limit', run: () => limit.one() }]),
    ...peers.rows,
  ];
  try {
    const measured = await interleave(rows, { rounds: Math.ceil(80 * scale) });
    const bounds = [
      ['P1', 'limit', 1.25],
      ['P2', 'plain spawn', 0.8],
      ['P3', 'bwrap', 0.2],
      ['P3', 'crun run', 0.15],
      ['P3', 'runc run', 0.06],
      ['P3', 'docker run', 0.006],
    ] as const;
    return [
      {
        title: 'Cold run of `true`, from Node',
        unit: 'ms',
        rows: measured,
        checks: bounds.map(([goal, other, most]) =>
          compare(measured, [goal, 'ringfort', other], { most }),
        ),
        absent: [...(typeof limit === 'string' ? [limit] : []), ...peers.absent],
      },
    ];
  } finally {
    if (typeof limit !== 'string') limit.close();
    await peers.close();
  }
}

/** P1 to P3. */
export const coldRun: Part = { names: ['P1', 'P2', 'P3'], measure };
