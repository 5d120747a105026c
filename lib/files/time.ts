import { invalidArgument } from './paths.js';

/** A time as node:fs' `utimes` takes it: seconds since the epoch, text of such, or a `Date`. */
export type Time = number | string | Date;

const billion = 1_000_000_000n;

/** ns since the epoch as seconds and the rest, which is never negative (utimensat(2)). */
export function splitNs(ns: bigint): [seconds: bigint, ns: bigint] {
  const rest = ((ns % billion) + billion) % billion;
  return [(ns - rest) / billion, rest];
}

function toNs(time: Time): bigint {
  const seconds = time instanceof Date ? time.getTime() / 1000 : Number(time);
  if (!Number.isFinite(seconds)) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', `time: expected seconds or a Date, got ${time}`);
  }
  const whole = Math.floor(seconds);
  // A double holds today's seconds to the microsecond.
  return BigInt(whole) * billion + BigInt(Math.round((seconds - whole) * 1e6)) * 1000n;
}

/** The four numbers of a `utimes` request. */
export function timeNumbers(atime: Time, mtime: Time): bigint[] {
  return [...splitNs(toNs(atime)), ...splitNs(toNs(mtime))];
}
