import { constants } from 'node:fs';
import { invalidArgument } from './paths.js';

const { O_RDONLY, O_RDWR, O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_EXCL, O_SYNC } = constants;

const words: Readonly<Record<string, number>> = {
  r: O_RDONLY,
  rs: O_RDONLY | O_SYNC,
  'r+': O_RDWR,
  'rs+': O_RDWR | O_SYNC,
  w: O_TRUNC | O_CREAT | O_WRONLY,
  wx: O_TRUNC | O_CREAT | O_WRONLY | O_EXCL,
  'w+': O_TRUNC | O_CREAT | O_RDWR,
  'wx+': O_TRUNC | O_CREAT | O_RDWR | O_EXCL,
  a: O_APPEND | O_CREAT | O_WRONLY,
  ax: O_APPEND | O_CREAT | O_WRONLY | O_EXCL,
  as: O_APPEND | O_CREAT | O_WRONLY | O_SYNC,
  'a+': O_APPEND | O_CREAT | O_RDWR,
  'ax+': O_APPEND | O_CREAT | O_RDWR | O_EXCL,
  'as+': O_APPEND | O_CREAT | O_RDWR | O_SYNC,
};

/** Bits that open(2) knows and Node always sets. */
const { O_NONBLOCK, O_NOCTTY } = constants;

/**
 * Flags as node:fs takes them: a number of `constants`, or a word such as `'r'` or `'wx'`.
 * @throws TypeError `ERR_INVALID_ARG_VALUE`
 */
export function openFlags(flags: string | number): number {
  // The agent never waits and has no terminal, whatever the caller says.
  if (typeof flags === 'number') return flags & ~(O_NONBLOCK | O_NOCTTY);
  const found = words[flags];
  if (found !== undefined) return found;
  throw invalidArgument(
    'ERR_INVALID_ARG_VALUE',
    `flags: expected a word as 'r' or 'wx', got '${flags}'`,
  );
}

/**
 * A mode as node:fs takes it: a number, or text in octal.
 * @throws TypeError `ERR_INVALID_ARG_VALUE`
 */
export function modeBits(mode: number | string | undefined, fallback: number): number {
  if (mode === undefined) return fallback;
  const number =
    typeof mode === 'string' && /^[0-7]+$/.test(mode) ? Number.parseInt(mode, 8) : mode;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0) return number & 0o7777;
  throw invalidArgument(
    'ERR_INVALID_ARG_VALUE',
    `mode: expected a number or octal text, got '${mode}'`,
  );
}
