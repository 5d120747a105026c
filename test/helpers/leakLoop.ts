/**
 * A program of its own, so that nothing but the runs themselves is measured: `leakLoop.js <runs>
 * <at a time>`, under node --expose-gc. Prints what `LoopReport` says as JSON.
 */
import { run } from '../../lib/index.js';
import { expectNoLeaks, launcherPid, residentBytes, snapshot } from './leaks.js';

/** What became of the runs. */
export interface LoopReport {
  /** Resident memory more after them than before, as parts of the first; again while that is much. */
  growth: [node: number, launcher: number][];
  /** How many of them went wrong. */
  wrong: number;
}

async function loop(runs: number, atOnce: number): Promise<number> {
  let started = 0;
  let wrong = 0;
  const worker = async () => {
    while (started++ < runs) {
      const { stdout, exitCode } = await run('echo', ['hello']);
      if (stdout !== 'hello\n' || exitCode !== 0) wrong++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return wrong;
}

/** Resident memory once the garbage collector has had its say. */
async function settled(): Promise<[node: number, launcher: number]> {
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return [residentBytes(), residentBytes(await launcherPid())];
}

async function main(runs: number, atOnce: number): Promise<LoopReport> {
  // Until the heap has found its size.
  let wrong = await loop(1200, atOnce);
  const traces = snapshot();
  const growth: LoopReport['growth'] = [];
  const first = await settled();
  let before = first;
  // A leak is there each time; a heap that is still finding its size is not.
  for (let round = 0; round < 3; round++) {
    wrong += await loop(runs, atOnce);
    await expectNoLeaks(traces);
    const after = await settled();
    growth.push([(after[0] - before[0]) / first[0], (after[1] - before[1]) / first[1]]);
    if (growth.at(-1)?.every((part) => part < 0.15)) break;
    before = after;
  }
  return { growth, wrong };
}

const [runs = 0, atOnce = 1] = process.argv.slice(2).map(Number);
console.log(JSON.stringify(await main(runs, atOnce)));
