export {
  type CgroupHost,
  currentCgroups,
  detectCgroups,
  directoryOf,
} from './detect.js';
export { type ExecOptions, mustJoin, planExecCgroup, planLaterLimits } from './exec.js';
export { freeze, isFrozen, isFrozenNow, thaw } from './freezer.js';
export { addIoLimits } from './ioSettings.js';
export { killProgram } from './kill.js';
export { moveToLeafCgroup } from './leaf.js';
export type { CgroupPaths } from './liveFiles.js';
export { killMember, membersOf } from './members.js';
export type { NestedCgroup } from './nested.js';
export { type CgroupOptions, type CgroupPlan, planCgroup } from './plan.js';
export type { Pressure, Stall } from './pressure.js';
export { type ContainerStats, type MemoryBreakdown, readStats } from './stats.js';
export { updateLimits } from './update.js';
export {
  countsCpuTime,
  cpuTimeUs,
  parseUsage,
  type ReadResult,
  type Rusage,
  type Usage,
  type UsageSource,
  type Verdict,
  verdict,
} from './usage.js';
export {
  type EventWatch,
  type LimitEvent,
  type LimitEventType,
  type WatchOptions,
  watchEvents,
} from './watch.js';
