export {
  CGROUP_SUPER_MAGIC,
  CGROUP2_SUPER_MAGIC,
  type CgroupHost,
  currentCgroups,
  detectCgroups,
  directoryOf,
  type Hierarchy,
  parseCgroups,
  type UnifiedHierarchy,
} from './detect.js';
export { deviceProgram } from './deviceProgram.js';
export { type DeviceException, type DevicePolicy, devicePolicy } from './deviceRules.js';
export { moveToLeafCgroup } from './leaf.js';
export { type CgroupPlan, planCgroup } from './plan.js';
export {
  cpuTimeUs,
  parseUsage,
  type ReadResult,
  type Rusage,
  readUsageNow,
  type Usage,
  type UsageSource,
  type Verdict,
  verdict,
} from './usage.js';
export { sharesFromWeight, weightFromShares } from './weights.js';
