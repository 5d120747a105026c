import type { SpecResources } from '../spec/types.js';
import type { ParentFacts } from './facts.js';
import type { Setting } from './resources.js';
import { unsupported } from './unavailable.js';

type Memory = NonNullable<SpecResources['memory']>;

/**
 * Writes for the memory controller. OCI's `swap` is memory and swap together; without it a limited
 * container gets none. On v2 the whole container dies when it runs out of memory
 * (`memory.oom.group`); v1 has no such file, and the plan watches instead.
 * @see cgroup-v2.rst "Memory Interface Files", cgroup-v1/memory.rst
 */
export function memorySettings(memory: Memory, facts: ParentFacts): Setting[] {
  return facts.version === 1 ? v1(memory, facts) : v2(memory, facts);
}

function v2(memory: Memory, facts: ParentFacts): Setting[] {
  const { limit = -1, reservation = -1, disableOOMKiller } = memory;
  if (disableOOMKiller === true) {
    throw unsupported('memory.disableOOMKiller: cgroup v2 has no such switch', {
      option: 'linux.resources.memory.disableOOMKiller',
    });
  }
  const settings: Setting[] = [];
  if (limit !== -1) settings.push({ file: 'memory.max', data: String(limit) });
  const total = swapTotal(memory, facts);
  if (total !== undefined) settings.push({ file: 'memory.swap.max', data: String(total - limit) });
  if (reservation !== -1) settings.push({ file: 'memory.low', data: String(reservation) });
  settings.push({ file: 'memory.oom.group', data: '1' });
  return settings;
}

function v1(memory: Memory, facts: ParentFacts): Setting[] {
  const { limit = -1, reservation = -1, disableOOMKiller } = memory;
  const settings: Setting[] = [];
  // The kernel keeps limit <= memsw.limit, so the limit comes down first.
  if (limit !== -1) settings.push({ file: 'memory.limit_in_bytes', data: String(limit) });
  // v1 does not count with the rest what waits in the queues of TCP and UDP sockets.
  if (limit !== -1 && facts.socketFiles) {
    settings.push({ file: 'memory.kmem.tcp.limit_in_bytes', data: String(limit) });
  }
  const total = swapTotal(memory, facts);
  if (total !== undefined) {
    settings.push({ file: 'memory.memsw.limit_in_bytes', data: String(total) });
  }
  // memsw bounds the sum; only swappiness 0 also keeps pages of it out of swap.
  if (limit !== -1 && (memory.swap ?? limit) === limit) {
    settings.push({ file: 'memory.swappiness', data: '0' });
  }
  if (reservation !== -1) {
    settings.push({ file: 'memory.soft_limit_in_bytes', data: String(reservation) });
  }
  if (disableOOMKiller === true) settings.push({ file: 'memory.oom_control', data: '1' });
  return settings;
}

/** Memory and swap together, or undefined when nothing has to be written for it. */
function swapTotal(memory: Memory, facts: ParentFacts): number | undefined {
  const { limit = -1, swap = limit } = memory;
  if (limit === -1 || swap === -1) return undefined;
  if (facts.swapFiles) return swap;
  // A machine without swap enforces any limit on it.
  if (facts.noSwap) return undefined;
  throw unsupported('controller memory: this kernel does not account swap', {
    option: 'linux.resources.memory.swap',
    hint: 'boot with swapaccount=1, switch swap off (swapoff -a), or allow swap with -1',
  });
}
