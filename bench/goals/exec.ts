import { createContainer } from '../../lib/index.js';
import { compare, type Effort, type Part, type Section } from '../goal.js';
import { Limit } from '../limit.js';
import { plainSpawn } from '../plain.js';
import { interleave, type Row, timed } from '../rounds.js';

async function measure({ scale }: Effort): Promise<Section[]> {
  await using container = await createContainer();
  const limit = await Limit.start();
  const { pid } = container;
  if (pid === undefined) throw new Error('a container without a first process');
  const into = ['-t', String(pid), '--all', '/usr/bin/true'];
  const root = process.getuid?.() === 0;
  const rows: Row[] = [
    { name: 'plain spawn', run: () => plainSpawn('/usr/bin/true') },
    { name: 'ringfort exec', run: () => timed(() => container.exec('/usr/bin/true')) },
    ...(root ? [{ name: 'nsenter', run: () => plainSpawn('nsenter', into) }] : []),
    ...(typeof limit === 'string' ? [] : [{ name: 'limit exec', run: () => limit.exec(pid) }]),
  ];
  try {
    const measured = await interleave(rows, { rounds: Math.ceil(150 * scale) });
    return [
      {
        title: 'One more program in a container that runs',
        unit: 'ms',
        rows: measured,
        checks: [
          compare(measured, ['P6', 'ringfort exec', 'plain spawn'], { most: 0.5 }),
          compare(measured, ['P6', 'ringfort exec', 'nsenter'], { most: 0.25 }),
          compare(measured, ['P6', 'ringfort exec', 'limit exec'], {}),
        ],
        absent: typeof limit === 'string' ? [limit] : [],
      },
    ];
  } finally {
    if (typeof limit !== 'string') limit.close();
  }
}

/** P6. */
export const exec: Part = { names: ['P6'], measure };
