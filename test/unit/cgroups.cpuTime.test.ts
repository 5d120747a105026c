import { expect, test } from '@jest/globals';
import { countsCpuTime } from '../../lib/cgroups/index.js';

test.each([
  [['/sys/fs/cgroup/cpuacct/x/cpuacct.usage'], {}, true],
  [['/sys/fs/cgroup/x/cpu.stat'], { unified: '/sys/fs/cgroup/x' }, true],
  // Of v1's cpu controller: no time is in it.
  [['/sys/fs/cgroup/cpu/x/cpu.stat'], {}, false],
  [['/sys/fs/cgroup/cpu/x/cpu.stat'], { unified: '/sys/fs/cgroup/unified/x' }, false],
  [['/sys/fs/cgroup/memory/x/memory.stat'], {}, false],
])('%p counts CPU time, with %p: %p', (usageFiles, paths, counts) => {
  expect(countsCpuTime({ usageFiles, paths })).toBe(counts);
});
