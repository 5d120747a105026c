import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Hierarchy } from './detect.js';
import type { Parent } from './place.js';

/** What the settings of one tree depend on besides the spec: facts about the parent cgroup. */
export interface ParentFacts {
  readonly version: 1 | 2;
  /** The cgroup has files that limit swap. */
  readonly swapFiles: boolean;
  /** v1: the cgroup has a file of its own that limits what sockets hold in their queues. */
  readonly socketFiles: boolean;
  /** /proc/swaps lists none, so a limit on swap holds by itself. */
  readonly noSwap: boolean;
  /** CPUs and memory nodes that the parent may use, as lists. */
  readonly cpus: string;
  readonly mems: string;
  /** The file that takes an IO weight; undefined when none does. */
  readonly weightFile: 'io.weight' | 'io.bfq.weight' | 'blkio.bfq.weight' | undefined;
}

/**
 * The facts of a parent, each read when it is asked for: most launches need few of them.
 * @param isRoot the parent is the root of the v2 tree
 */
export function parentFacts(
  { version }: Pick<Hierarchy, 'version'>,
  { dir }: Pick<Parent, 'dir'>,
  isRoot: boolean,
): ParentFacts {
  const v1 = version === 1;
  const has = (file: string) => existsSync(join(dir, file));
  const list = (file: string) => readText(join(dir, file)).trim();
  return {
    version,
    get swapFiles() {
      // The v2 root has no such files itself; its children have them wherever the kernel has swap.
      if (isRoot) return existsSync('/proc/swaps');
      return has(v1 ? 'memory.memsw.limit_in_bytes' : 'memory.swap.max');
    },
    get socketFiles() {
      return v1 && has('memory.kmem.tcp.limit_in_bytes');
    },
    get noSwap() {
      return readText('/proc/swaps').trim().split('\n').length <= 1;
    },
    get cpus() {
      return list(v1 ? 'cpuset.effective_cpus' : 'cpuset.cpus.effective');
    },
    get mems() {
      return list(v1 ? 'cpuset.effective_mems' : 'cpuset.mems.effective');
    },
    get weightFile() {
      // Since CFQ went (5.0), BFQ is the only scheduler that v1 weights mean anything to.
      if (v1) return 'blkio.bfq.weight';
      if (has('io.bfq.weight')) return 'io.bfq.weight';
      // The root has no weight, but io.cost.qos where children get io.weight.
      return has('io.weight') || (isRoot && has('io.cost.qos')) ? 'io.weight' : undefined;
    },
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
