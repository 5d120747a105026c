import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { currentCgroups } from '../lib/cgroups/index.js';

/** Whether each session gets its own share of the CPUs: then other load is not the same for all rows. */
function hasAutogroups(): boolean {
  try {
    return readFileSync('/proc/sys/kernel/sched_autogroup_enabled', 'utf8').trim() === '1';
  } catch {
    return false;
  }
}

/** Of the sources that are measured. */
function commit(): string[] {
  const cwd = fileURLToPath(new URL('../../', import.meta.url));
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty'], {
    cwd,
    encoding: 'utf8',
  });
  return status === 0 ? [`commit ${stdout.trim()}`] : [];
}

/** What the figures were taken on. */
export function machineLine(): string {
  const [cpu] = cpus();
  const parts = [
    new Date().toISOString().slice(0, 16).replace('T', ' '),
    `${cpus().length} × ${cpu?.model.trim() ?? 'unknown CPU'}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Linux ${release()}`,
    `cgroups ${currentCgroups().mode}`,
    `Node ${process.version}`,
    process.getuid?.() === 0 ? 'root' : 'ordinary user',
    ...commit(),
    ...(hasAutogroups() ? ['autogroups'] : []),
    `load ${loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')}`,
  ];
  return parts.join(' · ');
}
