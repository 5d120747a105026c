import { types } from 'node:util';
import { invalid } from '../errors.js';
import { AT_FDCWD } from './constants.js';

/**
 * The checks of arguments, made before any system call. `name` is the call and its parameter,
 * dotted (`mount.flags`); each check returns the value it was given.
 * @throws InvalidSpecError `ERR_INVALID_OPTION`, all of them
 */

const maxU32 = 0xffffffff;
const maxI32 = 0x7fffffff;

/** An integer from `min` to `max`. */
export function integer(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalid(name, `an integer from ${min} to ${max}`, value);
}

/** An unsigned 32-bit integer, such as a flag word. */
export function u32(name: string, value: number): number {
  return integer(name, value, 0, maxU32);
}

/** A signed 32-bit integer that may not be negative: a pid, a signed flag word. */
export function natural(name: string, value: number): number {
  return integer(name, value, 0, maxI32);
}

/** A 64-bit word; a number is taken while it is a safe integer. */
export function u64(name: string, value: number | bigint): bigint {
  const word = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof word === 'bigint' && BigInt.asUintN(64, word) === word) return word;
  throw invalid(name, 'an integer from 0 to 2^64-1', value);
}

/** A descriptor; whether it is open the kernel says. */
export function descriptor(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= maxI32) return value;
  throw invalid(name, 'a file descriptor', value);
}

/** A descriptor that paths are resolved from, or AT_FDCWD. */
export function directory(name: string, value: number): number {
  if (value === AT_FDCWD) return value;
  if (Number.isInteger(value) && value >= 0 && value <= maxI32) return value;
  throw invalid(name, 'a file descriptor or AT_FDCWD', value);
}

/** A string that a C string can carry. */
export function text(name: string, value: string): string {
  if (typeof value === 'string' && !value.includes('\0')) return value;
  throw invalid(name, 'a string without NUL bytes', value);
}

/** A string that a C string can carry, or undefined for NULL. */
export function optionalText(name: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : text(name, value);
}

/** A Uint8Array of any realm; a Buffer is one. */
export function bytes(name: string, value: Uint8Array): Uint8Array {
  if (types.isUint8Array(value)) return value;
  throw invalid(name, 'a Uint8Array', value);
}
