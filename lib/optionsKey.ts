import { Readable } from 'node:stream';

/** Longest key, in characters: what is longer is not kept. */
const maxKey = 16_384;

/** Whether it is a plain object: nothing but named values. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return (
    (prototype === Object.prototype || prototype === null) &&
    Object.getOwnPropertySymbols(value).length === 0
  );
}

/** Text that is the same for the same value; throws for what is more than data. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' || typeof value === 'boolean' || value == null)
    return Object.is(value, -0) ? '-0' : String(value);
  if (Array.isArray(value)) return `[${Array.from(value, textOf).join()}]`;
  if (typeof value !== 'object' || !isPlain(value)) throw new TypeError('more than data');
  const fields = Object.entries(value);
  return `{${fields.map(([name, each]) => `${JSON.stringify(name)}:${textOf(each)}`).join()}}`;
}

/**
 * A name for all that a program's spec is compiled from: what has the same name is compiled, and
 * refused, alike.
 * @returns undefined where it would not say everything: options with functions or streams
 */
export function optionsKey(
  file: string,
  args: readonly string[],
  options: object,
): string | undefined {
  const { signal, input, ...rest } = options as { signal?: unknown; input?: unknown };
  if (signal !== undefined && !(signal instanceof AbortSignal)) return undefined;
  const data = typeof input === 'string' || input instanceof Uint8Array;
  if (input !== undefined && !data && !(input instanceof Readable)) return undefined;
  if (!isPlain(options)) return undefined;
  try {
    const key = textOf([file, args, rest, input !== undefined]);
    return key.length <= maxKey ? key : undefined;
  } catch {
    return undefined;
  }
}
