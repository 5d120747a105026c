/** Whether it is a plain object: nothing but named values. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * A copy of what is data: arrays and plain objects, whatever they hold. All else (functions,
 * streams, signals) is what it was.
 */
export function copyData<T>(value: T, seen = new Map<unknown, unknown>()): T {
  if (typeof value !== 'object' || value === null) return value;
  if (!Array.isArray(value) && !isPlain(value)) return value;
  if (seen.has(value)) return seen.get(value) as T;
  const copy = Array.isArray(value) ? [] : {};
  seen.set(value, copy);
  const free = { enumerable: true, writable: true, configurable: true };
  for (const [name, each] of Object.entries(value))
    Object.defineProperty(copy, name, { ...free, value: copyData(each, seen) });
  return copy as T;
}
