import { posix } from 'node:path';

/** What a copy is about. */
export interface CopyEnds {
  /** Path of the source. */
  source: string;
  isDirectory: boolean;
  destination: string;
  /** What there is at the destination, symbolic links followed. */
  found: 'directory' | 'other' | 'nothing';
}

/** Where a copy goes: under a name in a directory, or, of a directory, what is in it into another. */
export type Placement = { parent: string; name: string } | { into: string };

/** A source whose contents are meant and not it itself: it has no name, or ends in `/.`. */
function meansContents(source: string): boolean {
  return ['', '.', '..'].includes(posix.basename(source));
}

/** A source that is named with a slash at its end: what a symbolic link leads to is meant. */
export function meansTarget(source: string): boolean {
  return /\/\.?\.?$/.test(source);
}

/**
 * docker cp's rules: into a directory that is there, by the source's own name; else under the name
 * that was given, in a directory that must be there. `/.` at the source's end means what is in it.
 * @returns undefined for what cannot be: a directory onto a file, a file to a name with a slash
 */
export function placement({
  source,
  isDirectory,
  destination,
  found,
}: CopyEnds): Placement | undefined {
  const name = posix.basename(destination);
  const parent = posix.dirname(destination);
  if (found === 'directory') {
    if (isDirectory && meansContents(source)) return { into: destination };
    return { parent: destination, name: posix.basename(source) };
  }
  if (found === 'other')
    return isDirectory || destination.endsWith('/') ? undefined : { parent, name };
  if (!isDirectory && destination.endsWith('/')) return undefined;
  return { parent, name };
}
