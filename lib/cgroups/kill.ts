import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freeze, isFrozen, thaw } from './freezer.js';
import { type CgroupPaths, readOptional, writeControl } from './liveFiles.js';

/** Looks at what is left, ms apart. */
const pause = 2;

/**
 * Kills every process in the cgroups of one program, however fast they fork, and resolves when none
 * is left in them. On v2 that is one write (`cgroup.kill`, 5.14). On v1 the whole container stands
 * still meanwhile, if it can be frozen: what is frozen neither forks nor leaves its process id to
 * another. One that is frozen already stays so, and its processes end when it is thawed. Without a
 * freezer it goes on killing until none is left. Nothing is left of a cgroup that has gone.
 * Nobody else may freeze or thaw the container meanwhile.
 * @param program `CgroupPlan.paths` of the program
 * @param container those of its container
 * @throws Error of Node's for a process that is not ours to kill (EPERM)
 */
export async function killProgram(program: CgroupPaths, container: CgroupPaths): Promise<void> {
  const { unified, v1 } = program;
  const [dir = unified] = Object.values(v1);
  if (dir === undefined) return;
  if (unified !== undefined) {
    await writeOptional(join(unified, 'cgroup.kill'));
    return emptied(unified, () => {});
  }
  const freezes = container.v1.freezer !== undefined;
  const stays = freezes && (await isFrozen(container));
  if (freezes && !stays) await freeze(container);
  try {
    for (const pid of await members(dir)) kill(pid);
  } finally {
    if (freezes && !stays) await thaw(container);
  }
  if (stays) return;
  await emptied(dir, kill);
}

async function emptied(dir: string, each: (pid: number) => void): Promise<void> {
  for (let left = await members(dir); left.length > 0; left = await members(dir)) {
    for (const pid of left) each(pid);
    await sleep(pause);
  }
}

async function members(dir: string): Promise<number[]> {
  const text = (await readOptional(join(dir, 'cgroup.procs'))) ?? '';
  return text.split('\n').filter(Boolean).map(Number);
}

async function writeOptional(path: string): Promise<void> {
  try {
    await writeControl(path, '1');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
  }
}

function kill(pid: number): void {
  // 0 is a process of a namespace that we do not see; kill(2) would take it for our own group.
  if (pid <= 0) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
