import { posix } from 'node:path';
import { invalid, PermissionError } from '../errors.js';
import type { PlanBuilder } from '../plan/builder.js';
import type { Slot } from '../plan/steps.js';
import { defaultPath, defaultRlimits } from '../spec/defaults.js';
import { rlimInfinity, rlimitNames } from '../spec/names.js';
import type { SpecProcess, SpecRlimit } from '../spec/types.js';
import { RLIM_INFINITY } from '../sys/processConstants.js';
import type { Facts } from './facts.js';

function limitValue(value: number): bigint {
  return value >= rlimInfinity ? RLIM_INFINITY : BigInt(value);
}

/**
 * A default bounds from above, so a lower limit of this process does as well; but not for core
 * files where the host pipes them to a program: 0 would let that start (core(5)).
 */
function softLimit({ type, soft, hard }: SpecRlimit, facts: Facts): number {
  const ceiling = facts.hardLimits[type] ?? Number.POSITIVE_INFINITY;
  const isDefault = defaultRlimits.some(
    (each) => each.type === type && each.soft === soft && each.hard === hard,
  );
  const lower = isDefault && !(type === 'RLIMIT_CORE' && facts.coreHandler);
  return lower ? Math.min(soft, ceiling) : soft;
}

/** How to get a limit that this process has not. */
function limitHint(type: string): string {
  if (type !== 'RLIMIT_CORE') return 'raise it with prlimit or ulimit -H';
  return `start this process with a hard limit of 1 (systemd: LimitCORE=1; limits.conf: hard core 1), or let each crash start the host's core handler: rlimits: { RLIMIT_CORE: 0 }`;
}

/** What takes the descriptors that a release brings; so it is set with the release. */
const descriptors = 'RLIMIT_NOFILE';

/** The limits that a parked program has already, and those that its release sets. */
export function isParkedLimit({ type }: SpecRlimit): boolean {
  return type !== descriptors;
}

/**
 * Resource limits and umask. Nobody here can raise a hard limit, so a lower one of this process
 * stays; a soft limit above it cannot be had.
 * @throws PermissionError `ERR_RLIMIT_TOO_HIGH`
 */
export function planLimits(
  builder: PlanBuilder,
  { rlimits = [], user }: Pick<SpecProcess, 'rlimits' | 'user'>,
  facts: Facts,
): void {
  for (const limit of rlimits) {
    const { type, hard } = limit;
    const resource = rlimitNames.indexOf(type);
    if (resource < 0) throw invalid('rlimits', 'a name such as RLIMIT_NOFILE', type);
    const ceiling = facts.hardLimits[type] ?? Number.POSITIVE_INFINITY;
    const soft = softLimit(limit, facts);
    if (soft > ceiling) {
      throw new PermissionError(
        'ERR_RLIMIT_TOO_HIGH',
        `rlimits.${type}: expected at most the hard limit of this process, ${ceiling}, got ${soft}`,
        { option: `rlimits.${type}`, phase: 'process', hint: limitHint(type) },
      );
    }
    builder.add('child', {
      op: 'rlimit',
      resource,
      soft: limitValue(soft),
      hard: limitValue(Math.min(hard, ceiling)),
    });
  }
  builder.add('child', { op: 'umask', mask: user.umask ?? 0o022 });
}

/** The terminal or the three streams that travel with the plan in slots 0 to 2. */
export function planStdio(builder: PlanBuilder, process: SpecProcess, devpts?: Slot): void {
  if (process.terminal !== true) {
    builder.add('child', { op: 'stdio', stdin: 0, stdout: 1, stderr: 2 });
    return;
  }
  if (devpts === undefined) throw invalid('pty', 'a devpts mount on /dev/pts');
  const { height = 24, width = 80 } = process.consoleSize ?? {};
  builder.add('child', { op: 'pty', devpts, rows: height, cols: width });
}

/** The paths execve is tried with, as execvp(3) makes them. */
export function candidates(file: string, env: readonly string[]): string[] {
  if (file.includes('/')) return [file];
  const path = env.find((entry) => entry.startsWith('PATH='))?.slice(5) ?? defaultPath;
  return path.split(':').map((dir) => (dir === '' ? file : posix.join(dir, file)));
}

/** Becomes the program. */
export function planExec(builder: PlanBuilder, process: SpecProcess): void {
  const env = process.env ?? [];
  const file = process.args[0] as string;
  builder.add('child', { op: 'exec', candidates: candidates(file, env), argv: process.args, env });
}
