// Where detached containers are kept there is hardly any room: what becomes of one that prints a
// lot, and of what it prints once there is room again. Says it as JSON.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { currentCgroups } from '../../lib/cgroups/index.js';
import { containersDir } from '../../lib/detached/stateDir.js';
import { createContainer, moveToLeafCgroup } from '../../lib/index.js';

/** What it says. */
export interface FullReport {
  exitCode: number | null;
  /** Bytes in the log, and those that the log says are not. */
  kept: number;
  lost: number;
  /** What was printed when there was room again. */
  last: string;
}

const flood = 2_000_000;

async function main(): Promise<void> {
  // An ordinary user's own cgroup is the one that it begins in.
  if (process.getuid?.() !== 0 && currentCgroups().mode === 'v2') moveToLeafCgroup();
  const ballast = join(containersDir(), 'ballast');
  const script = `head -c ${flood} /dev/zero; echo full >/tmp/full; read x; echo after; exit 3`;
  const command = ['sh', '-c', script];
  writeFileSync(ballast, Buffer.alloc(100_000));
  const box = await createContainer({ detached: true, command, stdio: 'pipe', cwd: '/tmp' });
  const { stdin } = await box.attach({ stdin: true });
  // The guest gets through all the same.
  while ((await box.exec('test', ['-e', '/tmp/full'])).exitCode !== 0);
  rmSync(ballast);
  stdin?.end('\n');
  const { exitCode } = await box.wait();
  const report: FullReport = { exitCode, kept: 0, lost: 0, last: '' };
  for await (const { data, lost = 0 } of box.logs()) {
    report.kept += data.length;
    report.lost += lost;
    report.last = data.toString();
  }
  await box.remove();
  process.stdout.write(JSON.stringify(report));
}

void main();
