// Launches while the directory of the argument, where the journal is, has no room left, and afterwards.
// Prints a line of JSON: `FullState`.
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { currentCgroups } from '../../lib/cgroups/index.js';
import { ContainerError, moveToLeafCgroup, run } from '../../lib/index.js';
import { supervisor } from '../../lib/supervisor.js';
import { fstatfsMagic } from '../../lib/sys/index.js';
import { say } from './useLauncher.js';

interface Outcome {
  exitCode?: number | null;
  code?: string;
  phase?: string;
  errno?: number;
}

/** What it says. */
export interface FullState {
  failed: Outcome;
  /** The file system of the directory, while the launcher is there. */
  beside: number;
  next: Outcome;
  /** Whether the launcher is the one of before. */
  same: boolean;
}

async function attempt(file: string): Promise<Outcome> {
  try {
    return { exitCode: (await run(file)).exitCode };
  } catch (error) {
    if (!(error instanceof ContainerError)) throw error;
    const { code, phase, errno } = error;
    return { code, ...(phase && { phase }), ...(errno !== undefined && { errno }) };
  }
}

const [directory = ''] = process.argv.slice(2);
const tmpfs = 0x1021994;
if (fstatfsMagic(directory) !== tmpfs)
  throw new Error(`${directory} is no tmpfs: not to be filled`);
// An ordinary user's own cgroup is the one that it begins in.
if (process.getuid?.() !== 0 && currentCgroups().mode === 'v2') moveToLeafCgroup();
const { launcher } = await supervisor();
await attempt('true');
// Its teardown, which nobody waits for, empties the journal: room for one more entry.
while (launcher.live > 0) await sleep(5);
const filler = join(directory, 'filler');
writeFileSync(filler, '');
try {
  for (;;) appendFileSync(filler, Buffer.alloc(4096));
} catch {}
const failed = await attempt('sleep');
const beside = fstatfsMagic(directory);
rmSync(filler);
const next = await attempt('true');
const same = (await supervisor()).launcher === launcher;
say({ failed, beside, next, same } satisfies FullState);
process.exit(0);
