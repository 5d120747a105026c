import { debuglog } from 'node:util';
import { describePlan } from './plan/describe.js';
import type { Plan } from './plan/steps.js';

const log = debuglog('ringfort');

/**
 * With `NODE_DEBUG=ringfort`: prints the plan, then each event of the launch with the µs since
 * then, in the words of plan/describe.
 */
export function debugLaunch(id: string, about: { plan: Plan }): (event: string) => void {
  if (!log.enabled) return () => {};
  log('%s plan\n%s', id, describePlan(about.plan));
  const start = process.hrtime.bigint();
  return (event) => {
    log('%s %d µs %s', id, Number((process.hrtime.bigint() - start) / 1000n), event);
  };
}
