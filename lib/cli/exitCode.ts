import { constants } from 'node:os';
import { ContainerError, type RunResult, type Size } from '../index.js';

/** Our own failures, usage errors among them; docker's number. */
export const ownFailure = 125;
/** What a command on a container that runs could not do; docker's number, too. */
export const failure = 1;
const notExecutable = 126;
const notFound = 127;
/** A limit ended a program that then claimed success; timeout(1) has it so. */
const ended = 124;

/** 128 and the number of the signal, as a shell has it. */
export function codeOfSignal(signal: NodeJS.Signals): number {
  return 128 + (constants.signals[signal] ?? realTime(signal));
}

/** The number of `SIGRTMIN+n`, which Node has no name for. */
function realTime(signal: string): number {
  return 34 + Number(/^SIGRTMIN\+(\d+)$/.exec(signal)?.[1] ?? 0);
}

/** What a result says about how the program ended. */
export type End = Pick<RunResult, 'exitCode' | 'signal' | 'reason' | 'failed'>;

/** The program's own exit code, or 128 and the signal's number: 137 for SIGKILL. */
export function codeOfResult({ exitCode, signal, failed }: End): number {
  if (signal !== null) return codeOfSignal(signal);
  return failed && exitCode === 0 ? ended : (exitCode ?? ownFailure);
}

/** docker's 126 and 127 for a program that cannot be started, else `other`. */
export function codeOfError(error: unknown, other = ownFailure): number {
  if (!(error instanceof ContainerError)) return other;
  if (error.code === 'ERR_PROGRAM_NOT_EXECUTABLE') return notExecutable;
  return error.code === 'ERR_PROGRAM_NOT_FOUND' ? notFound : other;
}

/** The limits that a message may name. */
export interface NamedLimits {
  memory?: Size | undefined;
  pids?: number | undefined;
  /** ms. */
  cpuTime?: number | undefined;
  /** ms. */
  timeout?: number;
}

/** What to tell about a program that one of its limits ended; undefined where none did. */
export function limitMessage(reason: RunResult['reason'], limits: NamedLimits): string | undefined {
  const named = (limit: Size | undefined) => (limit === undefined ? 'the default limit' : limit);
  switch (reason) {
    case 'oom':
      return `killed: out of memory (${named(limits.memory && `limit ${limits.memory}`)})`;
    case 'timeout':
      return `killed: timeout after ${limits.timeout} ms`;
    case 'cpu-time':
      return `killed: ${limits.cpuTime} ms of CPU time are used up`;
    case 'pids':
      return `no more processes (${named(limits.pids && `limit ${limits.pids}`)})`;
    default:
      return undefined;
  }
}
