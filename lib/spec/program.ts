import type { ProcessOptions, ProgramLimits } from '../options.js';
import { annotation } from './annotations.js';
import { defined } from './defined.js';
import { identityFromOptions } from './identity.js';
import { rlimitsOfProgram } from './limits.js';
import type { Spec, SpecProcess } from './types.js';

/** One more program in a container, as it was asked for. */
export interface Program {
  file: string;
  args: readonly string[];
  options: ProcessOptions & {
    limits?: ProgramLimits | undefined;
    pty?: { cols: number; rows: number } | undefined;
  };
}

/** `NAME=value` of the container, with what the program's own options set, change or take away. */
function environment(base: readonly string[], own: ProcessOptions['env'] = {}): string[] {
  const names = new Set(Object.keys(own));
  const kept = base.filter((entry) => !names.has(entry.slice(0, entry.indexOf('='))));
  return [...kept, ...Object.entries(defined(own)).map(([name, value]) => `${name}=${value}`)];
}

/** Whether the options name a user at all; else it is the container's. */
function namesUser({ uid, gid, user, groups }: ProcessOptions): boolean {
  return [uid, gid, user, groups].some((value) => value !== undefined);
}

/**
 * The container's spec with another process: what may be done, and with which capabilities, stays
 * the container's; who, where, with what environment and limits is the program's. Pure; the
 * options must have been checked.
 * @param spec with `process` as the container was created with
 */
export function programSpec<T extends Spec & { process: SpecProcess }>(
  spec: T,
  { file, args, options }: Program,
): T {
  const { process, annotations = {} } = spec;
  const { [annotation.user]: _, ...notes } = annotations;
  const other = namesUser(options);
  const { user, lookup } = other
    ? identityFromOptions(options)
    : { user: { ...process.user, ...defined({ umask: options.umask }) }, lookup: undefined };
  const another = lookup !== undefined || user.uid !== process.user.uid;
  const { pty } = options;
  const { terminal: _terminal, consoleSize: _size, ...kept } = process;
  return {
    ...spec,
    process: defined({
      ...kept,
      terminal: pty === undefined ? undefined : true,
      consoleSize: pty === undefined ? undefined : { height: pty.rows, width: pty.cols },
      user,
      args: [file, ...args],
      env: environment(process.env ?? [], options.env),
      // Another user may not be able to enter the home of the container's.
      cwd: options.cwd ?? (another ? '/' : process.cwd),
      rlimits: rlimitsOfProgram(process.rlimits ?? [], options.limits),
    }),
    annotations: lookup === undefined ? notes : { ...notes, [annotation.user]: lookup },
  };
}
