import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CgroupHost } from '../../lib/cgroups/detect.js';
import { fill, v2Child, v2Host, v2Root } from '../helpers/fakeCgroups.js';

function make(): string {
  const directory = mkdtempSync(join(tmpdir(), 'ringfort-fuzz-'));
  const places = ['etc', 'proc', 'dev', 'sys', 'scratch', 'both', 'merged'].map(
    (each) => `root/${each}`,
  );
  for (const name of [...places, 'lower', 'upper', 'work', 'data'])
    mkdirSync(join(directory, name), { recursive: true });
  const enabled = 'cpuset cpu io memory hugetlb pids\n';
  fill(join(directory, 'cgroup'), { ...v2Root, 'cgroup.subtree_control': enabled });
  const weights = {
    'io.weight': '',
    'cpuset.cpus.effective': '0-1\n',
    'cpuset.mems.effective': '0\n',
  };
  fill(join(directory, 'cgroup/own'), {
    ...v2Child,
    ...weights,
    'cgroup.procs': '',
    'cgroup.subtree_control': enabled,
  });
  return directory;
}

/** A directory of this run: `root`, `lower`, `upper`, `work` and `data` for containers. */
export const scratch: string = make();

/** For the end: nothing runs that has been made in it. */
export function removeScratch(): void {
  rmSync(scratch, { recursive: true });
}

/** A cgroup v2 tree of ordinary files, in which everything can be limited. */
export const cgroupHost: CgroupHost = v2Host(join(scratch, 'cgroup'), '/own');
