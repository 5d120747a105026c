import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { RunnableSpec } from './launch.js';
import type { CreateOptions, RunOptions } from './options.js';
import { seccompOption } from './seccomp/option.js';
import { annotation } from './spec/annotations.js';
import {
  checkCommand,
  checkCreateOptions,
  checkOptions,
  checkProgramOptions,
} from './spec/checks.js';
import { specFromOptions } from './spec/fromOptions.js';
import { type Program, programSpec } from './spec/program.js';
import { specPlace } from './spec/rules/place.js';
import { applyOciOption } from './spec/validate.js';

/** A fresh container id: 12 hexadecimal digits, as docker shortens its own. */
export function newId(): string {
  return randomBytes(6).toString('hex');
}

/** Where relative paths begin. A directory that has been removed has no name, and nothing in it. */
export function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return '/proc/self/cwd';
  }
}

/** A pod or a service may be marked as the first to die, and what it starts may not be marked less. */
function ownOomScoreAdj(): number {
  try {
    return Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
  } catch {
    return 0;
  }
}

/** The number of CPUs takes a tenth of a millisecond to find out, and few options are about it. */
const machine = {
  get hostCpus(): number {
    return cpus().length;
  },
};

/** What `specOf` and its kin compile. */
interface Compiled {
  id: string;
  command: { file: string; args: readonly string[] };
  options: RunOptions;
}

function compile({ id, command, options }: Compiled): RunnableSpec {
  const spec = specFromOptions(command, options, {
    cwd: workingDirectory(),
    id,
    seccomp: seccompOption,
    ...(options.oomScoreAdj === undefined && { ownOomScoreAdj: ownOomScoreAdj() }),
    ...(options.pty && { interactive: options.pty }),
  });
  const final = options.oci === undefined ? spec : applyOciOption(spec, options.oci);
  if (final.process === undefined) {
    throw specPlace.key('process').invalid('the program that is to run');
  }
  return final as RunnableSpec;
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
  checkOptions(options, machine);
  checkCommand(file, args, options.env);
  return compile({ id, command: { file, args }, options });
}

/** Stands for the program of a container that has only our init: what would do as much elsewhere. */
const idle = ['sleep', 'infinity'] as const;

/**
 * The checked spec of a container that lives on.
 * @throws InvalidSpecError and its kind, before anything is created
 */
export function createSpecOf(id: string, options: CreateOptions): RunnableSpec {
  checkCreateOptions(options, machine);
  const [file = '', ...args] = options.command ?? idle;
  checkCommand(file, args, options.env);
  const { command, id: _id, start: _start, labels: _labels, ...more } = options;
  const { detached: _detached, logs: _logs, ...rest } = more;
  // A command of its own is pid 1, as OCI has it, unless an init was asked for.
  const init = rest.init ?? command === undefined;
  const spec = compile({ id, command: { file, args }, options: { ...rest, init } });
  if (command !== undefined) return spec;
  return { ...spec, annotations: { ...spec.annotations, [annotation.init]: 'only' } };
}

/**
 * Checks one more program in a container.
 * @throws InvalidSpecError and its kind
 */
export function checkProgram(program: Program, kind: 'exec' | 'spawn'): void {
  checkProgramOptions(program.options, machine, kind);
  checkCommand(program.file, program.args, program.options.env);
}

/**
 * The checked spec of one more program in a container.
 * @param container its spec, as it was launched
 * @throws InvalidSpecError and its kind, before anything is created
 */
export function programSpecOf(
  container: RunnableSpec,
  program: Program,
  kind: 'exec' | 'spawn',
): RunnableSpec {
  checkProgram(program, kind);
  return programSpec(container, program);
}
