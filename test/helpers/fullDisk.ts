// What becomes of a program's output and of a copy whose target, a directory on a small disk, is full.
// Argument: that directory. Prints a line of JSON: `FullDisk`.
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { currentCgroups } from '../../lib/cgroups/index.js';
import { createContainer, moveToLeafCgroup } from '../../lib/index.js';
import { fstatfsMagic } from '../../lib/sys/index.js';
import { say } from './useLauncher.js';

/** What it says. */
export interface FullDisk {
  /** Exit code of a program that fills it, and what it complains of. */
  exitCode: number | null;
  complaint: string;
  /** The code of the copy's error, and whether something of it is there. */
  copy: string;
  begun: boolean;
  /** What the container says afterwards. */
  afterwards: string;
}

const tmpfs = 0x1021994;
const [directory = ''] = process.argv.slice(2);
if (fstatfsMagic(directory) !== tmpfs)
  throw new Error(`${directory} is no tmpfs: not to be filled`);
// An ordinary user's own cgroup is the one that it begins in.
if (process.getuid?.() !== 0 && currentCgroups().mode === 'v2') moveToLeafCgroup();
const box = await createContainer();
const file = openSync(join(directory, 'out'), 'w');
const { exitCode, stderr } = await box.exec('dd', ['if=/dev/zero', 'bs=4096', 'count=64'], {
  stdio: ['ignore', file, 'pipe'],
});
closeSync(file);
await box.exec('dd', ['if=/dev/urandom', 'of=/tmp/big', 'bs=4096', 'count=64']);
const target = join(directory, 'big');
const copy = await box.copyOut('/tmp/big', target).then(
  () => 'copied',
  ({ code }) => code,
);
const begun = existsSync(target);
const afterwards = (await box.exec('echo', ['through'])).stdout;
await box[Symbol.asyncDispose]();
say({ exitCode, complaint: stderr ?? '', copy, begun, afterwards } satisfies FullDisk);
process.exit(0);
