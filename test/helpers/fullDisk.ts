// What becomes of a program's output and of copies whose target, a directory on a small disk, is full.
// Argument: that directory. Prints a line of JSON: `FullDisk`.
import { closeSync, openSync, readdirSync } from 'node:fs';
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
  /** The codes of the errors of two copies, of a file and of a tree. */
  copies: string[];
  /** What is on the disk then. */
  left: string[];
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
// One of the two directories is complete before the file that is too much, wherever listings begin.
await box.shell(`mkdir -p /tmp/tree/a && cd /tmp/tree && head -c 256K /dev/urandom > big &&
  mkdir z && touch a/f z/f && chmod 555 a z`);
const copies = [];
for (const source of ['/tmp/tree/big', '/tmp/tree']) {
  const copied = box.copyOut(source, join(directory, 'copy'));
  copies.push(
    await copied.then(
      () => 'copied',
      ({ code }) => code,
    ),
  );
}
const left = readdirSync(directory);
const afterwards = (await box.exec('echo', ['through'])).stdout;
await box[Symbol.asyncDispose]();
say({ exitCode, complaint: stderr ?? '', copies, left, afterwards } satisfies FullDisk);
process.exit(0);
