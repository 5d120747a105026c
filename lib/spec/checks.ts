import type { RunOptions } from '../options.js';
import { contradictions, type MachineFacts } from './contradictions.js';
import { defined } from './defined.js';
import { runOptions } from './rules/options.js';
import { optionsPlace } from './rules/place.js';
import { checkArgumentsFit, sizeOfArgument, sizeOfArguments } from './rules/process.js';

/**
 * Checks options before anything is created: first each by itself (spelling, type, range, bytes
 * that the kernel cannot take), then one against another.
 * @throws InvalidSpecError ERR_INVALID_OPTION; UnsupportedError ERR_UNSUPPORTED_SPEC for a field of
 * `resources` that OCI has and ringfort does not carry out
 */
export function checkOptions(
  options: unknown,
  machine: MachineFacts,
): asserts options is RunOptions {
  runOptions(options, optionsPlace);
  for (const check of contradictions) check(options as RunOptions, machine);
}

/**
 * Checks the program and its arguments, and that they fit into one execve together with `env`.
 * @throws InvalidSpecError ERR_INVALID_OPTION
 */
export function checkCommand(
  file: unknown,
  args: unknown,
  env: Readonly<Record<string, string | undefined>> = {},
): void {
  if (file === '') throw optionsPlace.key('file').invalid('the name of a program', file);
  const place = optionsPlace.key('args');
  let total = sizeOfArgument(file, optionsPlace.key('file')) + sizeOfArguments(args, place);
  checkArgumentsFit(total, place);
  for (const [name, value] of Object.entries(defined(env))) {
    const variable = optionsPlace.key('env').key(name);
    total += sizeOfArgument(`${name}=${value}`, variable);
    checkArgumentsFit(total, optionsPlace.key('env'));
  }
}
