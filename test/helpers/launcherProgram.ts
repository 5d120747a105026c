// A container, and which program its launcher is: prints a line of JSON, `LauncherProgram`.
import { readlinkSync } from 'node:fs';
import { run } from '../../lib/index.js';
import { launcherPid } from './leaks.js';
import { say } from './useLauncher.js';

/** What came of it. */
export interface LauncherProgram {
  stdout: string;
  enforced: string[];
  program: string;
}

const { stdout, isolation } = await run('cat', ['/proc/1/comm'], { reject: true });
const program = readlinkSync(`/proc/${await launcherPid()}/exe`);
say({ stdout, enforced: [...isolation.enforced], program } satisfies LauncherProgram);
process.exit(0);
