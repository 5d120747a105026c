import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as ringfort from '../../lib/index.js';
import { compare, type Effort, type Part, type Section } from '../goal.js';
import { interleave, type Row, timed } from '../rounds.js';

/** What this part uses of `Pool`. */
interface PoolLike {
  run(file: string, args: string[]): Promise<{ stdout: string | Buffer }>;
  [Symbol.asyncDispose](): Promise<void>;
}

type PoolClass = new (options: object, bounds: { min: number; max: number }) => PoolLike;

const { Pool } = ringfort as { Pool?: PoolClass };

/** ms until the first byte of output is here; the end is waited for outside. */
async function firstByte(): Promise<number> {
  const start = performance.now();
  const child = spawn('/usr/bin/echo', ['x'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const ms = performance.now() - start;
  await once(child, 'close');
  return ms;
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 10));

async function measure({ scale }: Effort): Promise<Section[]> {
  const plain: Row = { name: 'plain spawn, first byte', run: firstByte };
  const title = 'First byte of a program in a pooled container';
  if (Pool === undefined) {
    const checks = [
      { goal: 'P4', what: 'pooled / plain spawn', most: 0.25, absent: 'Pool is absent' },
    ];
    const rows = await interleave([plain], { rounds: Math.ceil(50 * scale) });
    return [{ title, unit: 'ms', rows, checks, absent: ['Pool'] }];
  }
  await using pool = new Pool({}, { min: 4, max: 8 });
  // The result comes after the first byte: what is measured is more than the goal asks for.
  const pooled: Row = {
    name: 'pooled run, whole result',
    async run() {
      const ms = await timed(() => pool.run('/usr/bin/echo', ['x']));
      // A user's pool is seldom asked without a pause; refilling is not what is measured.
      await settle();
      return ms;
    },
  };
  const rows = await interleave([plain, pooled], { rounds: Math.ceil(100 * scale) });
  return [
    {
      title,
      unit: 'ms',
      rows,
      checks: [compare(rows, ['P4', pooled.name, plain.name], { most: 0.25 })],
    },
  ];
}

/** P4. */
export const pooled: Part = { names: ['P4'], measure };
