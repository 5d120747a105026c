import { invalid } from '../errors.js';
import type {
  CreateOptions,
  ExecOptions,
  LimitsUpdate,
  RunOptions,
  SpawnOptions,
} from '../options.js';
import { contradictions, type MachineFacts, programContradictions } from './contradictions.js';
import { defined } from './defined.js';
import {
  createOptions,
  execOptions,
  runOptions,
  spawnOptions,
  updateOptions,
} from './rules/options.js';
import { optionsPlace } from './rules/place.js';
import { checkArgumentsFit, sizeOfArgument, sizeOfArguments } from './rules/process.js';
import { isObject } from './rules/rule.js';

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
 * The same for the options of `createContainer`.
 * @throws as `checkOptions`
 */
export function checkCreateOptions(
  options: unknown,
  machine: MachineFacts,
): asserts options is CreateOptions {
  createOptions(options, optionsPlace);
  const { command, stdio, pty, start, namespaces } = options as CreateOptions;
  if (command === undefined) {
    for (const [name, value] of Object.entries({ stdio, pty, start }))
      if (value !== undefined) throw invalid(name, 'nothing without a `command` to have it', value);
    if ((namespaces?.pid ?? 'new') !== 'new')
      throw invalid('namespaces.pid', "'new' without a `command`: our init is all that it has");
    if ((options as CreateOptions).init === false)
      throw invalid('init', 'true without a `command`: somebody must be pid 1', false);
  }
  checkDetached(options as CreateOptions);
  for (const check of contradictions) check(options as RunOptions, machine);
}

function checkDetached({ detached, logs, start, limits }: CreateOptions): void {
  if (detached !== true) {
    if (logs !== undefined) throw invalid('logs', 'nothing without `detached`', logs);
    return;
  }
  if (start === false) throw invalid('start', 'true with `detached`', start);
  if (limits !== undefined && limits !== 'none' && limits.cpuTime !== undefined)
    throw invalid('limits.cpuTime', 'nothing with `detached`: nobody would be there to watch it');
}

/**
 * The same for the options of a program in a container that runs.
 * @throws as `checkOptions`
 */
export function checkProgramOptions(
  options: unknown,
  machine: MachineFacts,
  kind: 'exec' | 'spawn',
): asserts options is ExecOptions & SpawnOptions {
  (kind === 'exec' ? execOptions : spawnOptions)(options, optionsPlace);
  checkSwap((options as ExecOptions).limits);
  for (const check of programContradictions) check(options as RunOptions, machine);
}

/**
 * The same for what `container.update` changes.
 * @throws as `checkOptions`
 */
export function checkUpdate(options: unknown): asserts options is { limits: LimitsUpdate } {
  updateOptions(options, optionsPlace);
  checkSwap((options as { limits: LimitsUpdate }).limits);
}

function checkSwap({ swap, memory }: Pick<LimitsUpdate, 'swap' | 'memory'> = {}): void {
  if (swap !== undefined && memory == null)
    throw invalid('limits.swap', 'nothing without `memory`, which it is counted with');
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
  if (isObject(args)) throw place.invalid('an array before the options: (file, [], options)', args);
  let total = sizeOfArgument(file, optionsPlace.key('file')) + sizeOfArguments(args, place);
  checkArgumentsFit(total, place);
  for (const [name, value] of Object.entries(defined(env))) {
    const variable = optionsPlace.key('env').key(name);
    total += sizeOfArgument(`${name}=${value}`, variable);
    checkArgumentsFit(total, optionsPlace.key('env'));
  }
}
