import { PlanBuilder } from '../plan/builder.js';
import { type Plan, planFlag, type Step, slot } from '../plan/steps.js';
import type { SpecProcess, SpecRlimit } from '../spec/types.js';
import { isParkedLimit, planExec, planLimits, planStdio } from './command.js';
import type { Facts } from './facts.js';

/** What a release is made from. */
export interface ReleaseInput {
  /** The program as it was parked, and as it is to be. */
  parked: SpecProcess;
  process: SpecProcess;
  facts: Facts;
  /** stdin, stdout, stderr. */
  fds: readonly number[];
  /** Writes its limits into its cgroup. */
  limits: readonly Step[];
}

function sameLimit(a: SpecRlimit, b: SpecRlimit | undefined): boolean {
  return b !== undefined && a.soft === b.soft && a.hard === b.hard;
}

function limitOf(process: SpecProcess, type: string): SpecRlimit | undefined {
  return process.rlimits?.find((limit) => limit.type === type);
}

/** The limits that a release has to set. */
function limitsToSet(parked: SpecProcess, process: SpecProcess): SpecRlimit[] {
  return (process.rlimits ?? []).filter(
    (limit) => !isParkedLimit(limit) || !sameLimit(limit, limitOf(parked, limit.type)),
  );
}

/** The ids of a process, without its umask. */
function identity({ user: { uid, gid, additionalGids = [] } }: SpecProcess): string {
  return [uid, gid, ...additionalGids].join(' ');
}

/**
 * Whether a parked program can still become that one. Who it is and what it may do stands already,
 * a terminal would have to be opened under its walls, and nobody gets back a limit that he gave up.
 */
export function fitsParked(parked: SpecProcess, process: SpecProcess): boolean {
  return (
    process.terminal !== true &&
    identity(parked) === identity(process) &&
    limitsToSet(parked, process).every((limit) => {
      const stands = limitOf(parked, limit.type);
      return !isParkedLimit(limit) || stands === undefined || limit.hard <= stands.hard;
    })
  );
}

/**
 * What a parked program still lacks, from its streams to its exec: the last steps of `planProcess`
 * once more, for a process behind all of its walls. What came with it is closed before the exec, as
 * there (`closeAll`).
 */
export function compileRelease(input: ReleaseInput): Plan {
  const { parked, process, facts, fds, limits } = input;
  const b = new PlanBuilder(fds);
  b.flags = planFlag.release;
  b.add('prepare', ...limits);
  planStdio(b, process);
  b.add(
    'child',
    { op: 'closeAll', keep: slot.none, also: slot.none },
    { op: 'chdir', path: process.cwd },
  );
  planLimits(b, { user: process.user, rlimits: limitsToSet(parked, process) }, facts);
  planExec(b, process);
  return b.build();
}
