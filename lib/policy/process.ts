import type { PlanBuilder } from '../plan/builder.js';
import type { Slot } from '../plan/steps.js';
import type { Spec, SpecProcess } from '../spec/types.js';
import { isParkedLimit, planExec, planLimits, planStdio } from './command.js';
import type { Facts } from './facts.js';
import { planLandlockRestrict } from './landlock.js';
import {
  filterCapabilities,
  planFilter,
  planIdentity,
  planLabel,
  planStatus,
} from './privileges.js';

/** What a program's own process is made from. */
export interface ProcessInput {
  spec: Spec & { process: SpecProcess };
  facts: Facts;
  /** The compiled filter, absent for `unconfined`. */
  filter?: { program: Uint8Array; flags: number };
  /** The container's devpts, for a terminal. */
  devpts: Slot | undefined;
  /** Landlock rules; absent where there is no Landlock. */
  ruleset: Slot | undefined;
  /** Descriptor that the program waits on before its last walls, for OCI's `create`. */
  hold?: Slot;
  /** It waits behind them for what `planRelease` has for it. */
  parks?: boolean;
}

/**
 * From a process of the container's root with all of its capabilities to the program: the same for
 * a container's first program and for every further one.
 */
export function planProcess(builder: PlanBuilder, input: ProcessInput): void {
  const { spec, facts, ruleset, hold, filter, parks = false } = input;
  const { process } = spec;
  builder.add('child', { op: 'setsid' });
  const status = planStatus(builder);
  planLabel(builder, process, facts);
  planIdentity(builder, process, facts, filterCapabilities(process, filter !== undefined));
  // As the program's own user, so that its terminal and working directory are what it may have.
  if (!parks) {
    planStdio(builder, process, input.devpts);
    builder.add('child', { op: 'chdir', path: process.cwd });
  }
  if (hold !== undefined) builder.add('child', { op: 'hold', slot: hold });
  if (ruleset !== undefined) planLandlockRestrict(builder, ruleset);
  // After the last descriptor: RLIMIT_NOFILE may be lower than what the launch itself has open.
  const { rlimits = [], user } = process;
  planLimits(builder, { user, rlimits: parks ? rlimits.filter(isParkedLimit) : rlimits }, facts);
  // Last, so that it must allow as little as possible.
  planFilter(builder, spec, process, facts, filter, status);
  if (parks) builder.add('child', { op: 'park' });
  else planExec(builder, process);
}
