import { randomBytes } from 'node:crypto';
import { cpus } from 'node:os';
import type { RunnableSpec } from './launch.js';
import type { RunOptions } from './options.js';
import { seccompOption } from './seccomp/option.js';
import { checkCommand, checkOptions } from './spec/checks.js';
import { specFromOptions } from './spec/fromOptions.js';
import { specPlace } from './spec/rules/place.js';
import { applyOciOption } from './spec/validate.js';

/** A fresh container id: 12 hexadecimal digits, as docker shortens its own. */
export function newId(): string {
  return randomBytes(6).toString('hex');
}

/** Where relative paths begin. A directory that has been removed has no name, and nothing in it. */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return '/proc/self/cwd';
  }
}

/**
 * The checked spec of a command and its options.
 * @throws InvalidSpecError and its kind, before anything is created
 */
export function specOf(
  id: string,
  file: string,
  args: readonly string[],
  options: RunOptions,
): RunnableSpec {
  checkOptions(options, { hostCpus: cpus().length });
  checkCommand(file, args, options.env);
  const spec = specFromOptions({ file, args }, options, {
    cwd: workingDirectory(),
    id,
    seccomp: seccompOption,
    ...(options.pty && { interactive: options.pty }),
  });
  const final = options.oci === undefined ? spec : applyOciOption(spec, options.oci);
  if (final.process === undefined) {
    throw specPlace.key('process').invalid('the program that `run` is to run');
  }
  return final as RunnableSpec;
}
