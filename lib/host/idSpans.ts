/** A run of ids: `start`, `start + 1`, …, `start + count - 1`. */
export interface IdSpan {
  readonly start: number;
  readonly count: number;
}

/** How many ids there are: 4294967295 itself means "no id" to the kernel (user_namespaces(7)). */
export const idCount = 2 ** 32 - 1;

const end = (span: IdSpan): number => span.start + span.count;

/** Whether two runs have an id in common. */
export function overlap(a: IdSpan, b: IdSpan): boolean {
  return a.start < end(b) && b.start < end(a);
}

/** The same ids as ascending runs that neither touch nor overlap. */
export function merge(spans: readonly IdSpan[]): IdSpan[] {
  const merged: IdSpan[] = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || span.start > end(last)) merged.push(span);
    else merged[merged.length - 1] = between(last.start, Math.max(end(last), end(span)));
  }
  return merged;
}

/**
 * The ids that are in both sets, in the order of the first. Runs that merely touch stay apart: an
 * extent of a map must lie in one extent of the parent's (user_namespaces(7)).
 */
export function intersect(a: readonly IdSpan[], b: readonly IdSpan[]): IdSpan[] {
  return a.flatMap((x) =>
    b
      .filter((y) => overlap(x, y))
      .map((y) => between(Math.max(x.start, y.start), Math.min(end(x), end(y)))),
  );
}

/** The ids without one of them. */
export function without(spans: readonly IdSpan[], id: number): IdSpan[] {
  return intersect(spans, [between(0, id), between(id + 1, idCount)]);
}

function between(start: number, stop: number): IdSpan {
  return { start, count: stop - start };
}
