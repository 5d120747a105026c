import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Pool } from '../../lib/index.js';
import { compare, type Effort, type Part, type Section } from '../goal.js';
import { interleave, type Row, timed } from '../rounds.js';

/** ms until the first byte of output is here; the end is waited for outside. */
async function plainFirstByte(): Promise<number> {
  const start = performance.now();
  const child = spawn('/usr/bin/echo', ['x'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const ms = performance.now() - start;
  await once(child, 'close');
  return ms;
}

/** The same of a program in a container that is there already. */
async function pooledFirstByte(pool: Pool): Promise<number> {
  const start = performance.now();
  const lease = await pool.acquire();
  const program = lease.container.spawn('/usr/bin/echo', ['x'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(program.stdout as NodeJS.ReadableStream, 'data');
  const ms = performance.now() - start;
  await once(program, 'close');
  await lease.release();
  return ms;
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 10));

/** A user's pool is seldom asked without a pause; refilling is not what is measured. */
const settled = (time: () => Promise<number>) => async () => {
  const ms = await time();
  await settle();
  return ms;
};

async function measure({ scale }: Effort): Promise<Section[]> {
  await using pool = new Pool({}, { min: 4, max: 8 });
  const plain: Row = { name: 'plain spawn, first byte', run: plainFirstByte };
  const acquired: Row = {
    name: 'acquire and spawn, first byte',
    run: settled(() => pooledFirstByte(pool)),
  };
  // A parked program: its whole result, which comes after the first byte.
  const pooled: Row = {
    name: 'pooled run, whole result',
    run: settled(() => timed(() => pool.run('/usr/bin/echo', ['x']))),
  };
  const rows = await interleave([plain, acquired, pooled], { rounds: Math.ceil(100 * scale) });
  return [
    {
      title: 'First byte of a program in a pooled container',
      unit: 'ms',
      rows,
      checks: [acquired, pooled].map(({ name }) =>
        compare(rows, ['P4', name, plain.name], { most: 0.25 }),
      ),
    },
  ];
}

/** P4. */
export const pooled: Part = { names: ['P4'], measure };
