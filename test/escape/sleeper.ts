import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Bench } from './bench.js';

/** Runs the probe on the host as long as `body` takes; it waits for the end of its stdin. */
export async function beside(
  bench: Bench,
  args: readonly string[],
  body: (pid: number) => Promise<string>,
): Promise<string> {
  const child = spawn(bench.probe, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const [said] = await once(child.stdout, 'data');
  try {
    if (String(said).trim() !== 'ok') return `beside: ${String(said).trim()}`;
    return await body(child.pid as number);
  } finally {
    child.stdin.end();
    await ended;
  }
}

/** A process of the host's that does nothing. */
export function startSleeper(
  bench: Bench,
  body: (pid: number) => Promise<string>,
): Promise<string> {
  return beside(bench, ['sleep'], body);
}
