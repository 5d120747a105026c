import { Readable } from 'node:stream';

/** Longest key, in characters: what is longer is not kept. */
const maxKey = 16_384;

/** A program and its options as data, which nobody can change any more, and a name for all of it. */
export interface Keyed {
  key: string;
  args: readonly string[];
  /** Without `signal`, and with an empty `input` for any: no plan depends on what they are. */
  options: object;
}

/** Its own fields; throws for what is more than data: a getter, a hidden field, another prototype. */
function fieldsOf(value: object): [name: string, value: unknown][] {
  const array = Array.isArray(value);
  const prototype = Object.getPrototypeOf(value);
  const usual = array ? Array.prototype : Object.prototype;
  const names = Reflect.ownKeys(value);
  const whole = !array || names.length === value.length + 1;
  if ((prototype !== usual && (array || prototype !== null)) || !whole)
    throw new TypeError('more than data');
  return names.flatMap((name) => {
    const own = Object.getOwnPropertyDescriptor(value, name);
    if (array && name === 'length') return [];
    if (typeof name === 'symbol' || own?.enumerable !== true || !('value' in own))
      throw new TypeError('more than data');
    return [[name, own.value]];
  });
}

/** A copy in which each place was read once. */
function copyOf(value: unknown): unknown {
  if (value == null || ['string', 'number', 'boolean'].includes(typeof value)) return value;
  if (typeof value !== 'object') throw new TypeError('more than data');
  const fields = fieldsOf(value).map(([name, each]) => [name, copyOf(each)] as const);
  return Array.isArray(value) ? fields.map(([, each]) => each) : Object.fromEntries(fields);
}

/** Text that is the same for the same data. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`;
  if (typeof value !== 'object' || value === null)
    return Object.is(value, -0) ? '-0' : String(value);
  const fields = Object.entries(value);
  return `{${fields.map(([name, each]) => `${JSON.stringify(name)}:${textOf(each)}`).join()}}`;
}

function isData(input: unknown): boolean {
  return input === undefined || typeof input === 'string' || input instanceof Uint8Array;
}

/**
 * A name for all that a program's spec is compiled from: what has the same name is compiled, and
 * refused, alike.
 * @returns undefined where it would not say everything: options with functions, streams or getters
 */
export function keyOf(file: unknown, args: unknown, options: unknown): Keyed | undefined {
  if (typeof file !== 'string' || typeof options !== 'object' || options === null) return undefined;
  if (Array.isArray(options)) return undefined;
  try {
    const own = Object.fromEntries(fieldsOf(options));
    const { signal, input, ...rest } = own;
    if (signal !== undefined && !(signal instanceof AbortSignal)) return undefined;
    if (!isData(input) && !(input instanceof Readable)) return undefined;
    const words = copyOf(args);
    if (!Array.isArray(words)) return undefined;
    const data = copyOf(input === undefined ? rest : { ...rest, input: '' }) as object;
    const key = textOf([file, words, data]);
    return key.length <= maxKey ? { key, args: words, options: data } : undefined;
  } catch {
    return undefined;
  }
}
