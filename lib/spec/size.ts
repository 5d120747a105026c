import { invalid } from '../errors.js';

const exponents: Readonly<Record<string, number>> = { b: 0, k: 1, m: 2, g: 3, t: 4 };
const pattern = /^(\d+(?:\.\d+)?) ?(?:([bkmgt])|([kmgt])i?b)?$/i;
const expected = "bytes as an integer, or a string such as '64k', '512MiB', '1.5g'";

/**
 * A size in bytes. Units are b, k, m, g, t, also as `kb` or `KiB`, in either case, and always
 * powers of 1024, as docker reads them; a fraction of a byte is cut off.
 * @param value a number of bytes or a string
 * @param option dotted name of the option that it is of, for the error; default `'size'`
 * @throws InvalidSpecError for anything else, and beyond 2^53 − 1
 */
export function parseSize(value: unknown, option = 'size'): number {
  const bytes = typeof value === 'string' ? parseText(value) : value;
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 0) throw invalid(option, expected, value);
  return bytes as number;
}

function parseText(text: string): number {
  const [, digits, letter, longLetter] = pattern.exec(text) ?? [];
  const exponent = exponents[(letter ?? longLetter ?? 'b').toLowerCase()] ?? Number.NaN;
  return Math.floor(Number(digits) * 1024 ** exponent);
}
