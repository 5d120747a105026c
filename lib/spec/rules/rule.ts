import { suggest } from '../suggest.js';
import type { Place } from './place.js';

/** Throws an error that names `at` when `value` is not what the rule asks for. */
export type Rule = (value: unknown, at: Place) => void;

/** An integer, both ends included. */
export function integer(min: number, max: number): Rule {
  return (value, at) => {
    if (!Number.isSafeInteger(value) || Number(value) < min || Number(value) > max) {
      throw at.invalid(`an integer from ${min} to ${max}`, value);
    }
  };
}

/** `true` or `false`. */
export const boolean: Rule = (value, at) => {
  if (typeof value !== 'boolean') throw at.invalid('true or false', value);
};

/** A function. */
export const callable: Rule = (value, at) => {
  if (typeof value !== 'function') throw at.invalid('a function', value);
};

/** One of a few words; a near miss is answered with the word that was probably meant. */
export function oneOf(...words: readonly string[]): Rule {
  return (value, at) => {
    if (typeof value === 'string' && words.includes(value)) return;
    throw at.invalid(oneOfWords(value, words), value);
  };
}

function oneOfWords(value: unknown, words: readonly string[]): string {
  const meant = typeof value === 'string' ? suggest(value, words) : undefined;
  if (words.length > 12)
    return meant === undefined ? 'a known name' : `a known name, perhaps '${meant}'`;
  const list = `one of ${words.map((word) => `'${word}'`).join(', ')}`;
  return meant === undefined ? list : `${list}, perhaps '${meant}'`;
}

/** A list whose elements all pass `element`. */
export function list(element: Rule, max: number, min = 0): Rule {
  return (value, at) => {
    if (!Array.isArray(value)) throw at.invalid('an array', value);
    if (value.length < min || value.length > max) {
      throw at.invalid(`an array of ${min} to ${max} elements`, value.length);
    }
    // Not forEach: a hole in a sparse array is a wrong element, too.
    for (let i = 0; i < value.length; i++) element(value[i], at.index(i));
  };
}

/** An object used as a map: any keys that pass `name`, values that pass `entry`. */
export function record(name: Rule, entry: Rule): Rule {
  return (value, at) => {
    if (!isObject(value)) throw at.invalid('an object', value);
    for (const [key, element] of Object.entries(value)) {
      name(key, at.key(key));
      entry(element, at.key(key));
    }
  };
}

/** A rule for each property of `T`: a property of the type without a rule does not compile. */
export type Table<T> = { readonly [K in keyof Required<T>]: Rule };

/**
 * An object with the properties of `T` and no others. A property that is `undefined` counts as
 * not given, as it does for Node's own options.
 * @param more.required properties that must be given
 * @param more.unsupported names that exist in the OCI spec but are not carried out
 * @param more.instead names that people know from elsewhere, and what to do instead; `false` is nothing
 */
export function object<T extends object>(
  table: Table<T>,
  more: {
    required?: readonly (keyof T & string)[];
    unsupported?: readonly string[];
    instead?: Readonly<Record<string, string>>;
  } = {},
): Rule {
  const rules: Readonly<Record<string, Rule>> = table;
  return (value, at) => {
    if (!isObject(value)) throw at.invalid('an object', value);
    if (!isPlain(value)) throw at.invalid('a plain object, without a prototype of its own');
    for (const key of Object.keys(value)) {
      if (value[key] === undefined) continue;
      if (more.unsupported?.includes(key)) throw at.key(key).unsupported();
      const instead = Object.hasOwn(more.instead ?? {}, key) ? more.instead?.[key] : undefined;
      if (instead !== undefined && value[key] === false) continue;
      if (instead !== undefined) throw at.key(key).invalid(`nothing: ${instead}`);
      if (!Object.hasOwn(rules, key)) throw unknownKey(key, Object.keys(rules), at);
      rules[key]?.(value[key], at.key(key));
    }
    for (const key of more.required ?? []) {
      if (value[key] === undefined) throw at.key(key).invalid('a value');
    }
  };
}

function unknownKey(key: string, known: readonly string[], at: Place): Error {
  const meant = suggest(key, known);
  const what = at.phase === 'options' ? 'an option' : 'a field';
  const near = meant === undefined ? '' : `, perhaps '${at.key(meant).path}'`;
  return at.key(key).invalid(`${what} that exists${near}`);
}

/** Whether a value is an object that is not an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Whether a value is an object that inherits nothing but what every object has, of this realm or
 * another: what it inherits would be used, but is not among the keys that are checked.
 */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Several rules on one value, in order. */
export function all(...rules: readonly Rule[]): Rule {
  return (value, at) => {
    for (const rule of rules) rule(value, at);
  };
}
