// A detached container, made and looked at while this process has hardly a descriptor left, or while
// the file system where such containers are kept is full. Says as JSON what became of each attempt.
import { closeSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { currentCgroups } from '../../lib/cgroups/index.js';
import { containersDir } from '../../lib/detached/stateDir.js';
import { Container, ContainerError, createContainer, moveToLeafCgroup } from '../../lib/index.js';
import { fstatfsMagic, prlimit, Rlimit } from '../../lib/sys/index.js';
import { say } from './useLauncher.js';

/** What it says. */
export interface Scarce {
  /** Codes of errors, `''` for a success, `!` before what is no error of ours. */
  outcomes: string[];
  /** What is in the directory afterwards, of the containers of these attempts. */
  left: string[];
  /** Descriptors that are open afterwards, less those of before. */
  descriptors: number;
}

const [what = '', id = ''] = process.argv.slice(2);

async function outcome(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
    return '';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return error instanceof ContainerError ? error.code : `!${code ?? error}`;
  }
}

/** Always of the same id: what a failure had kept of it would make the next one fail. */
const create = async () => {
  await using _ = await createContainer({ id, detached: true, command: ['sleep', '1000'] });
};

const attempts = [
  create,
  () => Container.list({ all: true }),
  async () => {
    await using box = await Container.open(id);
    for await (const _ of box.logs());
  },
];

async function removeIt(): Promise<void> {
  await Container.remove(id, { force: true }).catch((error) => {
    if (error.code !== 'ERR_CONTAINER_NOT_FOUND') throw error;
  });
}

async function allOnce(): Promise<string[]> {
  const outcomes = [];
  for (const attempt of attempts) outcomes.push(await outcome(attempt));
  return outcomes;
}

/** With few descriptors left, whatever the number. */
async function withFew(): Promise<string[]> {
  const { RLIMIT_NOFILE } = Rlimit;
  const { hard } = prlimit(0, RLIMIT_NOFILE);
  const outcomes = [];
  for (let spare = 0; spare < 24; spare++) {
    const hoard: number[] = [];
    prlimit(0, RLIMIT_NOFILE, { soft: 128n, hard });
    try {
      for (;;) hoard.push(openSync('/dev/null', 'r'));
    } catch {}
    for (const fd of hoard.splice(0, spare)) closeSync(fd);
    outcomes.push(...(await allOnce()));
    for (const fd of hoard) closeSync(fd);
    prlimit(0, RLIMIT_NOFILE, { soft: hard, hard });
    await removeIt();
  }
  return outcomes;
}

/** With so many pages left on the disk, up to what is enough. */
async function onFull(): Promise<string[]> {
  const directory = containersDir();
  const tmpfs = 0x1021994;
  if (fstatfsMagic(directory) !== tmpfs)
    throw new Error(`${directory} is no tmpfs: not to be filled`);
  const ballast = (name: number) => join(directory, `ballast.${name}`);
  const outcomes = [];
  for (let pages = 0; pages < 4; pages++) {
    let files = 0;
    try {
      for (; ; files++) writeFileSync(ballast(files), Buffer.alloc(4096));
    } catch {}
    for (let file = files - pages; file <= files; file++) rmSync(ballast(file), { force: true });
    outcomes.push(await outcome(create));
    for (let file = 0; file < files; file++) rmSync(ballast(file), { force: true });
    await removeIt();
  }
  return outcomes;
}

/** Open descriptors, once their number has stayed the same for a while: connections close by and by. */
async function descriptors(): Promise<number> {
  let count = -1;
  for (let same = 0; same < 50; same++) {
    const now = readdirSync('/proc/self/fd').length;
    if (now !== count) same = 0;
    count = now;
    await sleep(10);
  }
  return count;
}

// An ordinary user's own cgroup is the one that it begins in.
if (process.getuid?.() !== 0 && currentCgroups().mode === 'v2') moveToLeafCgroup();
await create();
await removeIt();
const before = await descriptors();
const outcomes = what === 'full' ? await onFull() : await withFew();
outcomes.push(await outcome(create));
await removeIt();
say({
  outcomes,
  left: readdirSync(containersDir()).filter((name) => name === id),
  descriptors: (await descriptors()) - before,
} satisfies Scarce);
process.exit(0);
