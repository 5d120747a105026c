/**
 * `ringfort/sys`: the kernel's calls as they are, one function a system call, for those who build
 * a runtime of their own. Arguments are checked first (InvalidSpecError, nothing was called); what
 * the kernel refuses is a SyscallError. Every descriptor that is returned is close-on-exec and
 * belongs to the caller; in a worker thread, those that are still open at its end are closed then, as
 * those of node:fs are. Close it with this module's `close`.
 *
 * Node is multi-threaded, and many of these calls act on one thread only: the one that makes
 * them. Where it is so the function says it. The change is then seen by synchronous calls made
 * from the same JavaScript thread and by the child processes that it starts, but not by the
 * thread pool (promises and callbacks of node:fs, DNS, crypto) nor by worker threads.
 */

export { PlanBuilder } from '../plan/builder.js';
export { describePlan, describeStep } from '../plan/describe.js';
export {
  bytes,
  type Plan,
  type Slot,
  type Step,
  type StepOf,
  slot,
  stepTable,
  wall,
} from '../plan/steps.js';
export { type Cloned, type CloneEnd, clone } from './clone.js';
export * from './constants.js';
export { type CallFacts, SyscallError } from './error.js';
export * from './files.js';
export * from './mount.js';
export * from './namespaces.js';
export * from './privileges.js';
export * from './process.js';
