import type { Usage } from '../cgroups/index.js';
import { reasonOf } from '../complete.js';
import type { EndingCause } from '../ending.js';
import type { Ended } from '../follow.js';
import type { ExitReason } from '../result.js';

/** How a container ended, and what all of its programs together have used. */
export interface ContainerExit {
  /** Of the command; 0 where our init was asked to end. `null` when a signal ended it. */
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  reason: ExitReason;
  usage: Usage;
}

/** The exit of a container that has ended. */
export function exitOf(ended: Ended, cause: EndingCause | undefined): ContainerExit {
  const { exitCode, signal, usage } = ended;
  return { exitCode, signal, reason: reasonOf(ended, cause), usage };
}
