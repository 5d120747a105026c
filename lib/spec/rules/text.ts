import type { Place } from './place.js';
import type { Rule } from './rule.js';

/** PATH_MAX without its NUL: what one path argument of a system call may hold, in bytes. */
const maxPath = 4095;

/**
 * A string that reaches the kernel as it is: no NUL, which would cut it short there, and no lone
 * surrogate, which UTF-8 cannot hold. The value is not shown: it may be a secret.
 */
export function checkText(value: unknown, at: Place): asserts value is string {
  if (typeof value !== 'string') throw at.invalid('a string', value);
  if (value.includes('\0')) throw at.invalid('a string without NUL characters');
  if (/\p{Surrogate}/u.test(value)) throw at.invalid('a string without lone surrogates');
}

/** Any string that the kernel can take, of at most `max` bytes of UTF-8. */
export function text(max = maxPath): Rule {
  return (value, at) => {
    checkText(value, at);
    if (Buffer.byteLength(value) > max)
      throw at.invalid(`at most ${max} bytes`, Buffer.byteLength(value));
  };
}

/** A string of at most `max` bytes that matches. */
export function matching(pattern: RegExp, expected: string, max = maxPath): Rule {
  const bounded = text(max);
  return (value, at) => {
    bounded(value, at);
    if (!pattern.test(value as string)) throw at.invalid(expected, value);
  };
}

/** A file's name, absolute or relative. */
export const anyPath: Rule = matching(/./s, 'a path');

/** An absolute path without `..`, so that what is checked here is what is meant there. */
export const absolutePath: Rule = (value, at) => {
  anyPath(value, at);
  const path = value as string;
  if (!path.startsWith('/')) throw at.invalid('an absolute path', value);
  if (path.split('/').includes('..')) throw at.invalid("a path without '..'", value);
};

/**
 * Host and domain name: at most 64 bytes (__NEW_UTS_LEN) of letters, digits, `.`, `-` and `_`, so
 * that they are harmless in /etc/hosts and in scripts, too.
 * @see sethostname(2)
 */
export const hostName: Rule = matching(
  /^[A-Za-z0-9._-]+$/,
  "letters, digits, '.', '-' and '_'",
  64,
);
