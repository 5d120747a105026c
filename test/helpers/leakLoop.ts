/**
 * A program of its own, so that nothing but the runs themselves is measured: `leakLoop.js <runs>
 * <at a time>`, under node --expose-gc. Prints what `LoopReport` says as JSON.
 */
import { run } from '../../lib/index.js';
import { expectNoLeaks, launcherPid, residentBytes, snapshot } from './leaks.js';

/** Resident bytes before and after the runs, and how many of them went wrong. */
export interface LoopReport {
  node: [before: number, after: number];
  launcher: [before: number, after: number];
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
  const before = await settled();
  wrong += await loop(runs, atOnce);
  await expectNoLeaks(traces);
  const after = await settled();
  return { node: [before[0], after[0]], launcher: [before[1], after[1]], wrong };
}

const [runs = 0, atOnce = 1] = process.argv.slice(2).map(Number);
console.log(JSON.stringify(await main(runs, atOnce)));
