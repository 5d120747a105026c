import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freeze, isFrozen, thaw } from './freezer.js';
import { type CgroupPaths, writeControl } from './liveFiles.js';
import { killMember, membersOf } from './members.js';

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
 * @throws SyscallError for a process that is not ours to kill (EPERM)
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
    for (const pid of membersOf(dir)) killMember(dir, pid);
  } finally {
    if (freezes && !stays) await thaw(container);
  }
  if (stays) return;
  await emptied(dir, (pid) => killMember(dir, pid));
}

async function emptied(dir: string, each: (pid: number) => void): Promise<void> {
  for (let left = membersOf(dir); left.length > 0; left = membersOf(dir)) {
    for (const pid of left) each(pid);
    await sleep(pause);
  }
}

async function writeOptional(path: string): Promise<void> {
  try {
    await writeControl(path, '1');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
  }
}
