import { setTimeout as sleep } from 'node:timers/promises';
import type { Ended } from '../follow.js';
import { removeLeftovers } from './leftovers.js';
import { type DetachedState, lostEnd, readExit } from './state.js';
import { isClaimed } from './stateDir.js';

/** How often it is looked whether a monitor that nobody hears of is gone, and ms between two looks. */
const looks = 100;
const lookPause = 10;

/**
 * How a container has ended, once it has; what a monitor that was killed has left of it is removed.
 * @returns undefined while its monitor lives (or somebody is just removing it): nothing is touched
 */
export function endNow(state: DetachedState): Ended | undefined {
  // In this order: a monitor writes the exit before it goes.
  const lives = isClaimed(state.id);
  const end = readExit(state);
  if (end !== undefined || lives) return end;
  removeLeftovers(state);
  return lostEnd;
}

/**
 * The same for a container whose monitor does not answer. That alone is no end: a monitor lets go of
 * a client that does not read. One that has died may have its lock a moment longer than its sockets,
 * and so may a program that it was just making.
 */
export async function endOfSilent(state: DetachedState): Promise<Ended | undefined> {
  let end = endNow(state);
  for (let look = 1; end === undefined && look < looks; look++) {
    await sleep(lookPause);
    end = endNow(state);
  }
  return end;
}
