import { debuglog } from 'node:util';
import { ContainerError } from '../index.js';
import { advice, flagOf } from './flags.js';

/** Options that do not go together. The message names the flag. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** An error in the words of the command line: a line, and a second one with what to do about it. */
export function describeError(error: unknown): string {
  if (!(error instanceof ContainerError))
    return `ringfort: ${error instanceof Error ? error.message : String(error)}\n`;
  const { hint, option } = error;
  let message = error.message;
  if (hint !== undefined) message = message.replace(` (${hint})`, '');
  const flag = option === undefined ? undefined : flagOf(option);
  if (flag !== undefined && message.startsWith(`${option}: `))
    message = `${flag}${message.slice(option?.length)}`;
  return `ringfort: ${message}\n${hint === undefined ? '' : `          ${advice(hint)}\n`}`;
}

/** Prints an error to stderr; with `NODE_DEBUG=ringfort` also where it came from. */
export function printError(error: unknown): void {
  process.stderr.write(describeError(error));
  debuglog('ringfort')('%O', error);
}
