import { createContainer, Pool } from '../../lib/index.js';
import { planFlag } from '../../lib/plan/steps.js';
import { sentBy } from './sentPlans.js';
import { programEndsAt, programPoints, type StopPoint } from './stops.js';

/**
 * How a program comes into its container: started by the container's init, by joining it, set up in
 * advance, released from there, or as the agent for its files.
 */
export const styles = ['init', 'join', 'park', 'release', 'files'] as const;
export type Style = (typeof styles)[number];

/** Limits that a program is released with, so that there is something to set. */
export const releaseLimits = { pids: 20 };

const scenarios: Record<Style, () => Promise<unknown>> = {
  async init() {
    await using box = await createContainer();
    await box.exec('true');
  },
  async join() {
    await using box = await createContainer({ command: ['sleep', 'infinity'] });
    await box.exec('true');
  },
  async park() {
    await using pool = new Pool({}, { min: 1, max: 1 });
    await pool.run('true', [], { limits: releaseLimits });
  },
  release: () => scenarios.park(),
  async files() {
    await using box = await createContainer();
    await box.fs.readdir('/');
  },
};

/** Every point of a program of that style in a container that lives. */
export async function execPoints(style: Style): Promise<StopPoint[]> {
  const { programs: plans } = await sentBy(scenarios[style]);
  const [plan] = plans;
  if (plan === undefined) throw new Error('nothing was sent');
  const all = programPoints(plan);
  if (style === 'init' || style === 'join') return all;
  const later = all.filter((point) => programEndsAt(point) || point.title === 'afterRunning');
  // An agent answers before its launcher is told of it, and ends with its container.
  if (style === 'park' || style === 'files') return all.filter((point) => !later.includes(point));
  const release = plans.find(({ flags }) => flags === planFlag.release);
  if (release === undefined) throw new Error('nothing was released');
  const steps = programPoints(release).filter(({ section }) => section < 4);
  return [...steps, ...later];
}
