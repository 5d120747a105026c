import { constants } from 'node:os';
import type { RunOptions } from '../../options.js';
import { parseSize } from '../size.js';
import type { Place } from './place.js';
import { integer, isObject, object, oneOf, type Rule } from './rule.js';

/** Node's longest timer: beyond it `setTimeout` would fire at once. */
const maxTimer = 2 ** 31 - 1;

/** A size in bytes, or as `parseSize` reads it, of at least `min` bytes. */
export function size(min = 0): Rule {
  return (value, at) => {
    if (parseSize(value, at.path) < min) throw at.invalid(`at least ${min} bytes`, value);
  };
}

/** A time in ms that a timer can wait for. */
export const timer: Rule = (value, at) => {
  if (typeof value !== 'number' || !(value >= 0 && value <= maxTimer)) {
    throw at.invalid(`ms from 0 to ${maxTimer}`, value);
  }
};

/** A timer, or `false` for never. */
export const timerOrFalse: Rule = (value, at) => {
  if (value !== false) timer(value, at);
};

/** A signal by name or number. @see signal(7) */
export const signalChoice: Rule = (value, at) => {
  if (typeof value === 'number') integer(1, 64)(value, at);
  else oneOf(...Object.keys(constants.signals))(value, at);
};

/** An AbortSignal, of this realm or another (Jest and vm contexts have their own). */
export const abortSignal: Rule = (value, at) => {
  if (!isObject(value) || typeof value.aborted !== 'boolean' || !has(value, 'addEventListener')) {
    throw at.invalid('an AbortSignal', value);
  }
};

function has(value: unknown, method: string): boolean {
  return isObject(value) && typeof value[method] === 'function';
}

/** Whether a value is a stream that can be read. */
function isReadable(value: unknown): boolean {
  return has(value, 'pipe') && has(value, 'read');
}

/** Whether a value is a stream that can be written. */
function isWritable(value: unknown): boolean {
  return has(value, 'write') && has(value, 'end');
}

/** What is written to stdin. A string may hold anything: it is data, not a name. */
export const input: Rule = (value, at) => {
  if (typeof value === 'string' || value instanceof Uint8Array || isReadable(value)) return;
  throw at.invalid('a string, a Uint8Array or a Readable', value);
};

/** One word for all three streams, or three choices. */
export const stdio: Rule = (value, at) => {
  if (!Array.isArray(value)) {
    stdioWord(value, at);
    return;
  }
  if (value.length !== 3) throw at.invalid('three choices: stdin, stdout, stderr', value.length);
  value.forEach((choice, i) => {
    stdioChoice(choice, i, at.index(i));
  });
};

const stdioWord = oneOf('pipe', 'inherit', 'ignore');

function stdioChoice(value: unknown, stream: number, at: Place): void {
  if (typeof value === 'string') stdioWord(value, at);
  else if (typeof value === 'number') integer(0, 2 ** 31 - 1)(value, at);
  else if (!(stream === 0 ? isReadable(value) : isWritable(value))) {
    const expected = stream === 0 ? 'a Readable' : 'a Writable';
    throw at.invalid(`'pipe', 'inherit', 'ignore', a descriptor or ${expected}`, value);
  }
}

/** One of Node's encodings, or `'buffer'`. */
export const encoding: Rule = (value, at) => {
  if (value === 'buffer' || (typeof value === 'string' && Buffer.isEncoding(value))) return;
  throw at.invalid("one of Node's encodings or 'buffer'", value);
};

const cells = integer(1, 65535);

/** A terminal's size; the kernel keeps 16 bits of each. @see ioctl_tty(2) */
export const pty: Rule = object<NonNullable<RunOptions['pty']>>(
  { cols: cells, rows: cells },
  { required: ['cols', 'rows'] },
);
