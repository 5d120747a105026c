import { spawn } from 'node:child_process';
import { type Container, createContainer, run } from '../lib/index.js';

/** With a net namespace of its own (`'none'`, the default) or in the host's. */
export type Network = 'none' | 'host';

/** Ends all of them, and waits until they are gone. */
export async function end(boxes: Container[]): Promise<void> {
  await Promise.all(boxes.splice(0).map((box) => box[Symbol.asyncDispose]()));
}

/** Creates idle containers until there are `count`, eight at a time. */
export async function fill(boxes: Container[], count: number, network: Network): Promise<void> {
  let missing = count - boxes.length;
  const worker = async () => {
    while (missing-- > 0) boxes.push(await createContainer({ network }));
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

/** ms that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work();
  return performance.now() - since;
}

/** ms of one run of `true` in a container of its own, to its result. */
export function timeRun(network: Network): Promise<number> {
  return timed(async () => {
    const { exitCode } = await run('true', [], { network });
    if (exitCode !== 0) throw new Error(`true has ended with ${exitCode}`);
  });
}

/** ms of one program without a container, to its end. */
export function timeSpawn(file: string, ...args: string[]): Promise<number> {
  return timed(
    () =>
      new Promise((resolve, reject) => {
        spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
          .on('error', reject)
          .on('close', resolve);
      }),
  );
}
