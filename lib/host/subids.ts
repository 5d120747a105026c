import { readFileSync } from 'node:fs';
import { type IdSpan, idCount, merge } from './idSpans.js';

/** One line of /etc/subuid or /etc/subgid: ids that `owner` may map in user namespaces. */
export interface SubidEntry extends IdSpan {
  /** Login name or decimal uid; in both files it is a user, never a group. */
  readonly owner: string;
}

/** Who subordinate ids are looked up for. */
export interface SubidUser {
  readonly uid: number;
  /** Login name; absent when the uid has no entry in the user database. */
  readonly name?: string;
}

// no sign, no leading zero: newuidmap reads such numbers in base 0, where 0100 is 64
const decimal = /^(?:0|[1-9]\d{0,9})$/;

/**
 * The entries of /etc/subuid or /etc/subgid, in file order. Lines that are not
 * `owner:start:count` in plain decimal, or whose ids are not all valid, are left out: ids are
 * granted by what is certain only.
 * @see subuid(5)
 */
export function parseSubids(text: string): SubidEntry[] {
  return text.split('\n').flatMap((line) => {
    const [owner, start, count, ...rest] = line.split(':');
    if (!owner || start === undefined || count === undefined || rest.length > 0) return [];
    if (!decimal.test(start) || !decimal.test(count)) return [];
    const entry = { owner, start: Number(start), count: Number(count) };
    return entry.count > 0 && entry.start + entry.count <= idCount ? [entry] : [];
  });
}

/** Whether an entry is for this user, by name or by uid. */
export function ownedBy(entry: SubidEntry, user: SubidUser): boolean {
  return entry.owner === user.name || entry.owner === String(user.uid);
}

/** A user's subordinate ids: all the user's entries, ascending, merged. */
export function subidsOf(entries: readonly SubidEntry[], user: SubidUser): IdSpan[] {
  const own = entries.filter((entry) => ownedBy(entry, user));
  return merge(own.map(({ start, count }) => ({ start, count })));
}

/**
 * Reads a subordinate id file; one that is missing or unreadable grants nothing. Ids that come
 * from NSS (`subid:` in nsswitch.conf) are not seen.
 * @param path `/etc/subuid` or `/etc/subgid`
 */
export function readSubids(path: string): SubidEntry[] {
  try {
    return parseSubids(readFileSync(path, 'utf8'));
  } catch {
    return [];
  }
}
