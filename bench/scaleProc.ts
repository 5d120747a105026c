import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** The KiB values of a file of /proc such as meminfo, by name. */
export function kib(file: string): Map<string, number> {
  const lines = readFileSync(file, 'utf8').matchAll(/^([\w()]+):\s+(\d+) kB$/gm);
  return new Map([...lines].map(([, name = '', value]) => [name, Number(value)]));
}

/** Proportional set size of a process, KiB (proc_pid_smaps(5)). */
export function pss(pid: number): number {
  return kib(`/proc/${pid}/smaps_rollup`).get('Pss') ?? 0;
}

/** Open descriptors of a process. */
export function descriptors(pid: number | 'self'): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Has the garbage collector free what it can, and the kernel finish what it puts off. */
export async function settle(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 5; i++) {
    collect();
    await sleep(200);
  }
}
