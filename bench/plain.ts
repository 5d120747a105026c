import { type SpawnOptions, spawn } from 'node:child_process';
import { timed } from './rounds.js';

/** Starts a program the ordinary way, waits until it has ended and its pipes are closed. */
export function finished(file: string, args: readonly string[] = [], options: SpawnOptions = {}) {
  return new Promise<{ status: number | null; stdout: string; stderr: string }>(
    (resolve, reject) => {
      const child = spawn(file, args, options);
      let [stdout, stderr] = ['', ''];
      child.stdout?.on('data', (chunk) => {
        stdout += chunk;
      });
      child.stderr?.on('data', (chunk) => {
        stderr += chunk;
      });
      child.stdin?.end();
      child.on('error', reject);
      child.on('close', (status) => resolve({ status, stdout, stderr }));
    },
  );
}

/** ms of a program started with child_process.spawn, to the end of its output. */
export async function plainSpawn(file: string, args: readonly string[] = []): Promise<number> {
  return timed(async () => {
    const { status, stderr } = await finished(file, args);
    if (status !== 0) throw new Error(`${file} ended with ${status}: ${stderr}`);
  });
}
