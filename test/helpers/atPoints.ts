import { writeSync } from 'node:fs';
import { takeLongestWait } from './heldNode.js';
import type { StopPoint } from './stops.js';

/**
 * Makes one attempt at each point, three at a time, and says how many were made and how many held.
 * @param what heads that line
 * @param attempt what it returns is wrong afterwards
 * @returns all that is wrong
 */
export async function atPoints(
  what: string,
  points: readonly StopPoint[],
  attempt: (point: StopPoint) => Promise<string[]>,
): Promise<string[]> {
  const queue = [...points];
  const problems: string[] = [];
  let held = 0;
  const work = async () => {
    for (let point = queue.shift(); point !== undefined; point = queue.shift()) {
      const wrong = await attempt(point);
      if (wrong.length === 0) held++;
      problems.push(...wrong);
    }
  };
  takeLongestWait();
  await Promise.all([work(), work(), work()]);
  const wait = `longest wait ${takeLongestWait().toFixed(0)} ms`;
  writeSync(2, `${what}: ${points.length} tried, ${held} held, ${wait}\n`);
  return problems;
}
