import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { removeScratch } from './scratch.js';
import type { Target } from './target.js';
import { targets } from './targets/index.js';

/*
 * `node dist/test/fuzz/main.js [--seconds N] [--seed N] [--target NAME]…`: tries each target for its
 * share of the time, in a process of its own. A failure says the seed and the smallest input that
 * fails; put that into the target's seeds (test/fuzz/seeds), where every later run begins.
 */

/** Inputs between two looks at the clock, and at what is checked together. */
const roundSize = 100;
/** ms that a round may take beyond the end of its time before it counts as hanging. */
const patience = 60_000;

async function tryOne(target: Target, seconds: number, seed: number): Promise<string | undefined> {
  for (const input of target.seeds) await target.check(input);
  target.finish?.();
  const end = performance.now() + seconds * 1000;
  const property = fc.asyncProperty(target.inputs, async (input) => {
    await target.check(input);
  });
  let inputs = target.seeds.length;
  for (let round = 0; performance.now() < end; round++) {
    // So that a round that hangs can be found again.
    process.send?.(`seed ${seed + round}`);
    const result = await fc.check(property, { seed: seed + round, numRuns: roundSize });
    inputs += result.numRuns;
    if (result.failed) {
      const { counterexample, errorInstance: error } = result;
      const words = error instanceof Error ? error.stack : String(error);
      return `seed ${seed + round}: ${fc.stringify(counterexample).slice(0, 4000)}\n${words}`;
    }
    target.finish?.();
  }
  console.log(`${target.name}: ${inputs} inputs in ${seconds.toFixed(0)} s, seed ${seed}`);
  return undefined;
}

/** In a process of its own, which can be ended when it hangs. */
function tryApart(name: string, seconds: number, seed: number): Promise<boolean> {
  const args = ['--apart', '--target', name, '--seconds', String(seconds), '--seed', String(seed)];
  const child = fork(fileURLToPath(import.meta.url), args);
  let last: unknown = 'its seeds';
  child.on('message', (message) => {
    last = message;
  });
  const timer = setTimeout(
    () => {
      console.log(`${name}: hangs at ${last}`);
      child.kill('SIGKILL');
    },
    seconds * 1000 + patience,
  );
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '30' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      target: { type: 'string', multiple: true, default: targets.map(({ name }) => name) },
      apart: { type: 'boolean', default: false },
    },
  });
  const seconds = Number(values.seconds);
  const seed = Number(values.seed);
  const chosen = targets.filter(({ name }) => values.target.includes(name));
  if (values.apart) {
    const [only] = chosen;
    const problem = only && (await tryOne(only, seconds, seed));
    if (problem !== undefined) {
      console.log(`${only?.name}: ${problem}`);
      process.exitCode = 1;
    }
    process.disconnect?.();
    return;
  }
  let failed = 0;
  for (const { name } of chosen) {
    if (await tryApart(name, seconds / chosen.length, seed)) continue;
    failed++;
    console.log(`failed: ${name}`);
  }
  console.log(`fuzz targets: ${chosen.length - failed} passed, ${failed} failed`);
  if (failed > 0 || chosen.length === 0) process.exitCode = 1;
}

process.once('exit', removeScratch);
await main();
