export { planMasks } from './masks.js';
export { type PlannedMounts, planMounts } from './mounts.js';
export { planRoot } from './root.js';
