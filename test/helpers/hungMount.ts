// Mounts a FUSE whose server never answers, in a mount namespace of its own, and has another process
// start containers meanwhile: `hungMount.js <directory>`. Prints what that has said.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createContainer, run } from '../../lib/index.js';
import { mount } from '../../lib/sys/index.js';

/** What came of it. */
export interface HungReport {
  /** Codes of the errors: the mount itself, something in it, a root directory there. */
  codes: string[];
  /** The event loop went on meanwhile. */
  ticks: number;
  /** What a container that was there before printed afterwards, and a new one. */
  sibling: string;
  next: string;
}

async function code(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'none';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** The process that must not hang. */
async function start(directory: string): Promise<HungReport> {
  await using box = await createContainer();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 20);
  const codes = await Promise.all([
    code(run('true', [], { mounts: [`${directory}:/data`] })),
    code(run('true', [], { mounts: [`${directory}/below:/data`] })),
    code(run('true', [], { rootfs: directory })),
  ]);
  clearInterval(timer);
  const sibling = (await box.exec('echo', ['sibling'])).stdout;
  const next = (await run('echo', ['next'])).stdout;
  return { codes, ticks, sibling, next };
}

const [directory = '', role = ''] = process.argv.slice(2);
if (role === 'start') {
  writeSync(1, JSON.stringify(await start(directory)));
} else await serve();

/** Its end is the end of the connection: whoever waits goes on. */
async function serve(): Promise<void> {
  const fuse = openSync('/dev/fuse', 'r+');
  mount('none', directory, 'fuse', 0, `fd=${fuse},rootmode=40000,user_id=0,group_id=0`);
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), directory, 'start'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const late = setTimeout(() => process.exit(1), 40_000);
  const [exit] = await once(child, 'exit');
  clearTimeout(late);
  process.exit(exit ?? 1);
}
