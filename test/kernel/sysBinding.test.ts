import { expect, test } from '@jest/globals';
import { loadBinding } from '../../lib/native/load.js';
import { linux, suite } from '../helpers/needs.js';

/** The native functions without their types, as wrong code would call them. */
function functions(): [string, (...args: unknown[]) => unknown][] {
  return Object.entries(loadBinding().sys) as [string, (...args: unknown[]) => unknown][];
}

/** The addon's TypeError is that of Node, not the one of the context that Jest runs tests in. */
function typeError(message: unknown): unknown {
  return expect.objectContaining({ name: 'TypeError', message });
}

const huge = 2 ** 60;
const wrong: [string, unknown][] = [
  ['null', null],
  ['an object', {}],
  ['a function', () => 0],
  ['a symbol', Symbol('x')],
  ['true', true],
  ['NaN', Number.NaN],
  ['a fraction', 0.5],
  ['a number out of range', huge],
  ['an infinite number', Number.NEGATIVE_INFINITY],
  ['a bigint of 65 bits', 2n ** 64n],
  ['a negative bigint', -1n],
  ['a string with NUL', 'a\0b'],
  ['an array buffer', new ArrayBuffer(64)],
  ['floats', new Float64Array(4)],
  ['too many words', new BigUint64Array(9)],
  ['too few words', new Uint32Array(1)],
];

suite('sys: the native functions', [linux], () => {
  test('each of them refuses to be called without its arguments', () => {
    const withArguments = functions().filter(([name]) => name !== 'landlockAbi');
    expect(withArguments.length).toBeGreaterThan(30);
    for (const [, call] of withArguments) {
      expect(() => call()).toThrow(typeError(expect.stringMatching(/^argument 1: expected /)));
    }
  });

  test.each(wrong)('%s in every place is a TypeError', (_, value) => {
    for (const [name, call] of functions()) {
      if (name === 'landlockAbi') continue;
      expect(() => call(value, value, value, value, value)).toThrow(typeError(expect.any(String)));
    }
  });

  test('a wrong last argument is refused before the call is made', () => {
    const sys = loadBinding().sys as unknown as Record<string, (...args: unknown[]) => unknown>;
    expect(() => sys.openat2?.(-100, '/', new BigUint64Array(2))).toThrow(
      typeError("argument 3: expected a typed array of the structure's size"),
    );
    expect(() => sys.mount?.(undefined, '/nowhere', undefined, 0)).toThrow(
      typeError('argument 5: expected a string'),
    );
    expect(() => sys.write?.(1, new Uint16Array(2))).toThrow(
      typeError('argument 2: expected a Uint8Array'),
    );
    expect(() => sys.prctl?.(3, 0n, 0n, 0n, 0)).toThrow(
      typeError('argument 5: expected a bigint of 64 bits'),
    );
  });

  test('a NULL structure, a detached buffer and a bad filter are errors of the kernel', () => {
    const sys = loadBinding().sys;
    const unset = undefined as unknown as Int32Array;
    expect(sys.pipe2(0, unset)).toBe(-14);
    const detached = new Uint8Array(16);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    expect(sys.write(sys.memfdCreate('x', 1), detached)).toBe(0);
    expect(sys.seccompSetModeFilter(0, new Uint8Array(12))).toBe(-22);
    expect(sys.fsconfig(0, 2, 'key', 'value', 1 << 20)).toBe(-22);
  });
});
