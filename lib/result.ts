import { constants } from 'node:os';
import type { Usage } from './cgroups/usage.js';
import { ContainerError, InvalidSpecError, show } from './errors.js';
import type { Isolation } from './isolation.js';

/**
 * Why a program ended. `'pids'`: it failed, and a fork had been refused at the pids limit; the
 * kernel does not say whether the one was because of the other. `'lost'`: the monitor of a detached
 * container was killed, and the container with it.
 */
export type ExitReason = (typeof exitReasons)[number];

/** All of them. */
export const exitReasons = [
  ...['exit', 'signal', 'timeout', 'abort', 'oom', 'cpu-time', 'pids', 'output', 'lost'],
] as const;

/** What a finished program left. */
export interface RunResult<Output extends string | Buffer = string> {
  /** The program and its arguments. */
  command: string[];
  /** `null` when a signal ended it. */
  exitCode: number | null;
  /** Such as `'SIGKILL'`; `null` when it exited. */
  signal: NodeJS.Signals | null;
  /** What ended it: itself, a signal, or one of its limits. */
  reason: ExitReason;
  stdout: Output;
  stderr: Output;
  /**
   * Whether something of it is missing: output beyond `maxBuffer`, or what came 1 s after the program's
   * end or later, from others that it has left running or has handed its streams to.
   */
  truncated: { stdout: boolean; stderr: boolean };
  /** Not exit code 0. */
  failed: boolean;
  timedOut: boolean;
  isCanceled: boolean;
  /** Output beyond `maxBuffer` was dropped. */
  isMaxBuffer: boolean;
  /** Wall-clock time from the call to the end of the program, ms. */
  durationMs: number;
  usage: Usage;
  /** Which walls stood. */
  isolation: Isolation;
}

/** A program that did not exit with 0, with `reject: true`. */
export class ExitError extends ContainerError {
  override readonly name = 'ExitError';
  readonly result: RunResult<string | Buffer>;

  constructor(result: RunResult<string | Buffer>) {
    const how =
      result.reason === 'exit'
        ? `exited with code ${result.exitCode}`
        : `ended by ${result.reason}${result.signal === null ? '' : ` (${result.signal})`}`;
    super('ERR_EXIT', `${result.command[0]} ${how}`);
    this.result = result;
  }
}

/** Backwards, so that of two names for one number the first stays: SIGABRT, not SIGIOT. */
const signalNames = new Map<number, NodeJS.Signals>(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name as NodeJS.Signals]),
);

/** `'SIGTERM'` for 15; real-time signals as `SIGRTMIN+n`. */
export function signalName(number: number): NodeJS.Signals {
  return signalNames.get(number) ?? (`SIGRTMIN+${number - 34}` as NodeJS.Signals);
}

/**
 * The number of a signal given by name, in either case as child_process has it, or by number.
 * @throws InvalidSpecError `ERR_UNKNOWN_SIGNAL`, as Node's own
 */
export function signalNumber(signal: NodeJS.Signals | number): number {
  const known =
    typeof signal === 'number'
      ? Number.isInteger(signal) && signal >= 0 && signal <= 64
      : Object.hasOwn(constants.signals, String(signal).toUpperCase());
  if (!known) {
    const facts = { option: 'signal', phase: 'options' } as const;
    throw new InvalidSpecError('ERR_UNKNOWN_SIGNAL', `unknown signal: ${show(signal)}`, facts);
  }
  if (typeof signal === 'number') return signal;
  return constants.signals[signal.toUpperCase() as NodeJS.Signals];
}
