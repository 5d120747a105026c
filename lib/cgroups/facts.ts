import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Hierarchy } from './detect.js';
import type { Parent } from './place.js';

/** What the settings of one tree depend on besides the spec: facts about the parent cgroup. */
export interface ParentFacts {
  version: 1 | 2;
  /** The cgroup has files that limit swap. */
  swapFiles: boolean;
  /** /proc/swaps lists none, so a limit on swap holds by itself. */
  noSwap: boolean;
  /** CPUs and memory nodes that the parent may use, as lists. */
  cpus: string;
  mems: string;
  /** The file that takes an IO weight; undefined when none does. */
  weightFile?: 'io.weight' | 'io.bfq.weight' | 'blkio.bfq.weight';
}

/** Reads the facts; `isRoot` says that the parent is the root of the v2 tree. */
export function readFacts(hierarchy: Hierarchy, parent: Parent, isRoot: boolean): ParentFacts {
  const { version } = hierarchy;
  const has = (file: string) => existsSync(join(parent.dir, file));
  const swaps = readText('/proc/swaps');
  const names =
    version === 1
      ? { swap: 'memory.memsw.limit_in_bytes', cpus: 'cpuset.effective_cpus', mems: 'cpuset.effective_mems' }
      : { swap: 'memory.swap.max', cpus: 'cpuset.cpus.effective', mems: 'cpuset.mems.effective' };
  return {
    version,
    // The v2 root has no such files itself; its children have them wherever the kernel has swap.
    swapFiles: isRoot ? swaps !== '' : has(names.swap),
    noSwap: swaps.trim().split('\n').length <= 1,
    cpus: readText(join(parent.dir, names.cpus)).trim(),
    mems: readText(join(parent.dir, names.mems)).trim(),
    ...weightFile(version, isRoot, has),
  };
}

function weightFile(
  version: 1 | 2,
  isRoot: boolean,
  has: (file: string) => boolean,
): Pick<ParentFacts, 'weightFile'> {
  // Since CFQ went (5.0), BFQ is the only scheduler that v1 weights mean anything to.
  if (version === 1) return { weightFile: 'blkio.bfq.weight' };
  if (has('io.bfq.weight')) return { weightFile: 'io.bfq.weight' };
  // The root has no weight, but io.cost.qos where children get io.weight.
  if (has('io.weight') || (isRoot && has('io.cost.qos'))) return { weightFile: 'io.weight' };
  return {};
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
