import fc from 'fast-check';

/** Values that programs written in JavaScript pass by mistake or on purpose. */

function cyclic(): object {
  const value: Record<string, unknown> = {};
  value.self = value;
  return value;
}

function deep(levels: number): unknown {
  let value: unknown = [];
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? { a: value } : [value];
  return value;
}

function bare(entries: object): object {
  return Object.assign(Object.create(null), entries);
}

const odd: readonly (() => unknown)[] = [
  () => undefined,
  () => null,
  () => Number.NaN,
  () => -0,
  () => -1,
  () => 0.5,
  () => 2 ** 31,
  () => 2 ** 32,
  () => 2 ** 53,
  () => 1e308,
  () => Number.POSITIVE_INFINITY,
  () => 0n,
  () => 2n ** 64n,
  () => '',
  () => ' ',
  () => 'a\0b',
  () => '\ud800',
  () => 'ä€𝄞',
  () => '/ä/€𝄞',
  () => '__proto__',
  () => 'constructor',
  () => 'toString',
  () => '../../etc/passwd',
  () => '/proc/self/fd/3',
  () => '/',
  () => 'x'.repeat(70_000),
  () => '/a'.repeat(2500),
  () => Symbol('odd'),
  () => () => 'called',
  () => new Date(Number.NaN),
  () => new Map([['a', 1]]),
  () => Buffer.from('bytes'),
  () => bare({}),
  () => bare({ big: 1n }),
  () => [bare({ big: 1n })],
  () => JSON.parse('{"__proto__":{"memory":1}}'),
  () => cyclic(),
  () => deep(20_000),
  () => new Array(5),
  () => new Array(2 ** 32 - 1),
  () => Object.create({ inherited: true }),
  () => new Proxy({}, {}),
];

/** Anything, often what rules forget. */
export const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...odd).map((make) => make()) },
  { weight: 2, arbitrary: fc.string({ maxLength: 12, unit: 'binary' }) },
  { weight: 2, arbitrary: fc.integer() },
  { weight: 1, arbitrary: fc.double() },
  { weight: 1, arbitrary: fc.anything({ withBigInt: true, withNullPrototype: true, maxDepth: 2 }) },
);

type Container = Record<string, unknown> | unknown[];

function isContainer(value: unknown): value is Container {
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

/** Nesting that is looked into; what lies deeper is taken as it is. */
const maxDepth = 20;

function copy<T>(value: T, depth = 0): T {
  if (!isContainer(value) || depth > maxDepth) return value;
  const inner = (each: unknown) => copy(each, depth + 1);
  if (Array.isArray(value)) return value.length > 1000 ? value : (value.map(inner) as T);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inner(each)])) as T;
}

/** Every place in a value that something else could be at. */
function places(root: Container): [holder: Container, key: string, depth: number][] {
  const found: [Container, string, number][] = [];
  const walk = (holder: Container, depth: number) => {
    for (const key of Object.keys(holder).slice(0, 200)) {
      found.push([holder, key, depth]);
      const value = (holder as Record<string, unknown>)[key];
      if (isContainer(value) && depth < maxDepth) walk(value, depth + 1);
    }
  };
  walk(root, 0);
  return found;
}

/** Everything in a value, but it itself. */
function leaves(root: unknown): unknown[] {
  if (!isContainer(root)) return [];
  return places(root).map(([holder, key]) => (holder as Record<string, unknown>)[key]);
}

interface Edit {
  kind: 'replace' | 'swap' | 'remove' | 'add' | 'repeat' | 'stretch';
  at: number;
  other: number;
  value: unknown;
}

/** What is put behind a text, beside the text itself. */
const tails = [undefined, ':', '/', 'ä€𝄞', '\0', ' ', '\n', '=', ',x', '0'];

function set(holder: Container, key: string, value: unknown): void {
  Object.defineProperty(holder, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function apply(root: Container, { kind, at, other, value }: Edit): void {
  const every = places(root);
  // Near the top more often than far below it, where a profile has hundreds of names.
  const near = every.filter(([, , depth]) => depth <= at % 7);
  const all = near.length > 0 ? near : every;
  const place = all[Math.floor(at / 7) % all.length];
  if (place === undefined) return set(root, 'added', copy(value));
  const [holder, key] = place;
  const old = (holder as Record<string, unknown>)[key];
  const [otherHolder, otherKey] = all[other % all.length] as (typeof all)[number];
  const far = (otherHolder as Record<string, unknown>)[otherKey];
  switch (kind) {
    case 'replace':
      // It may be a part of a seed, which a later edit must not change.
      return set(holder, key, copy(value));
    case 'swap':
      set(holder, key, copy(far));
      return set(otherHolder, otherKey, copy(old));
    case 'remove':
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[key];
      return;
    case 'add':
      if (Array.isArray(holder) && holder.length < 1000) holder.push(copy(far));
      else set(holder, otherKey, copy(far));
      return;
    case 'repeat':
      if (Array.isArray(old) && old.length < 1000)
        old.push(...old.slice(0, 100).map((each) => copy(each)));
      return;
    case 'stretch':
      if (typeof old === 'string') set(holder, key, old + (tails[other % tails.length] ?? old));
      if (typeof old === 'number') set(holder, key, old + (other % 2 ? 1 : -1));
  }
}

/** Values with a few places changed: exchanged, removed, doubled, or taken by anything at all. */
export function mutated<T extends object>(
  seeds: readonly T[],
  values: fc.Arbitrary<unknown> = anyValue,
): fc.Arbitrary<T> {
  // What other seeds have there, or elsewhere, is accepted more often than what nobody has.
  const known = fc.constantFrom(...seeds.flatMap((seed) => leaves(seed)), undefined);
  const edit: fc.Arbitrary<Edit> = fc.record({
    kind: fc.constantFrom('replace', 'replace', 'swap', 'remove', 'add', 'repeat', 'stretch'),
    at: fc.nat(),
    other: fc.nat(),
    value: fc.oneof(values, known),
  });
  const one = edit.map((each) => [each]);
  return fc
    .tuple(fc.constantFrom(...seeds), fc.oneof(one, fc.array(edit, { maxLength: 4 })))
    .map(([seed, edits]) => {
      const result = copy(seed);
      for (const each of edits) apply(result as Container, each);
      return result;
    });
}

/** Texts made of pieces, in any order, with anything between them. */
export function textOf(pieces: readonly string[], maxLength = 12): fc.Arbitrary<string> {
  const piece = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...pieces) },
    { weight: 1, arbitrary: fc.string({ maxLength: 3, unit: 'binary' }) },
    { weight: 1, arbitrary: fc.constantFrom('0', '-1', '4294967296', '99999999999999999999', '') },
  );
  return fc.array(piece, { maxLength }).map((list) => list.join(''));
}

const words = [0, 1, 4, 8, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];

/** Bytes with a few words, bytes and lengths changed. */
export function mutatedBytes(seeds: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  const edit = fc.record({
    kind: fc.constantFrom('byte', 'word', 'cut', 'insert', 'double'),
    at: fc.nat(),
    value: fc.oneof(fc.constantFrom(...words), fc.nat(600), fc.nat()),
  });
  const changed = fc
    .tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 5 }))
    .map(([seed, edits]) => {
      let bytes = Buffer.from(seed);
      for (const { kind, at, value } of edits) {
        const place = bytes.length === 0 ? 0 : at % bytes.length;
        if (kind === 'byte' && bytes.length > 0) bytes[place] = value;
        const word = place & ~3;
        if (kind === 'word' && word + 4 <= bytes.length) bytes.writeUInt32LE(value >>> 0, word);
        if (kind === 'cut') bytes = bytes.subarray(0, place);
        const added = Buffer.alloc(value % 64, value);
        const again = kind === 'insert' ? added : bytes.subarray(0, place);
        if (kind === 'insert' || kind === 'double')
          bytes = Buffer.concat([bytes.subarray(0, place), again, bytes.subarray(place)]);
      }
      return bytes;
    });
  const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof({ weight: 9, arbitrary: changed }, { weight: 1, arbitrary: random });
}
