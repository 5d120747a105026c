export {
  type CgroupHost,
  currentCgroups,
  detectCgroups,
  directoryOf,
} from './detect.js';
export { type ExecOptions, planExecCgroup } from './exec.js';
export { moveToLeafCgroup } from './leaf.js';
export type { NestedCgroup } from './nested.js';
export { type CgroupOptions, type CgroupPlan, planCgroup } from './plan.js';
export {
  cpuTimeUs,
  parseUsage,
  type ReadResult,
  type Rusage,
  type Usage,
  type UsageSource,
  type Verdict,
  verdict,
} from './usage.js';
