import type fc from 'fast-check';
import { ContainerError } from '../../lib/errors.js';

/** One thing that is fuzzed. */
export interface Target {
  readonly name: string;
  readonly inputs: fc.Arbitrary<unknown>;
  /** Inputs that are tried each time: real ones, and those that once went wrong. */
  readonly seeds: readonly unknown[];
  /** Throws where the code under test does what it must not. */
  check(input: unknown): void | Promise<void>;
  /** What is better checked for many inputs at once; after each round. */
  finish?(): void;
}

/** A target whose inputs have a type. */
export function target<Input>(
  name: string,
  parts: {
    inputs: fc.Arbitrary<Input>;
    seeds: readonly Input[];
    check(input: Input): void | Promise<void>;
    finish?: () => void;
  },
): Target {
  return { name, ...parts, check: (input) => parts.check(input as Input) };
}

/**
 * The result of a call that may refuse its input, but only in the library's own words.
 * @param also other errors that are the right ones here
 * @returns undefined where it was refused
 */
export function orRefusal<T>(
  body: () => T,
  also: readonly (new (...args: never[]) => Error)[] = [],
): T | undefined {
  try {
    return body();
  } catch (error) {
    const typed = error instanceof ContainerError && /^ERR_[A-Z_]+$/.test(error.code);
    if (typed && error.message.length > 0 && error.message.length < 100_000) return undefined;
    if (also.some((kind) => error instanceof kind)) return undefined;
    throw error;
  }
}

/** @throws Error when it does not hold */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}
