import { type GuestPath, pathText } from './paths.js';
import type { Stats } from './stats.js';

/** The two calls it takes. */
export interface DirectoryCalls {
  mkdir(path: string): Promise<unknown>;
  stat(path: string): Promise<Stats>;
}

function parentOf(path: string): string | undefined {
  if (!/[^/]/.test(path) || !path.includes('/')) return undefined;
  return path.replace(/\/+[^/]*$/, '') || '/';
}

/** Makes one; false when it is missing what it would lie in. */
async function make(calls: DirectoryCalls, path: string): Promise<'made' | 'there' | 'orphan'> {
  try {
    await calls.mkdir(path);
    return 'made';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await calls.stat(path)).isDirectory()) return 'there';
    if (code !== 'ENOENT' || parentOf(path) === undefined) throw error;
    return 'orphan';
  }
}

/** mkdir -p. @returns the outermost directory that was made, if any */
export async function makeDirectories(
  calls: DirectoryCalls,
  path: GuestPath,
): Promise<string | undefined> {
  const text = pathText(path);
  let at = text.replace(/(?<=[^/])\/+$/, '');
  let first: string | undefined;
  const missing: string[] = [];
  // From the end, because most of the way is usually there.
  for (let state = await make(calls, at); ; state = await make(calls, at)) {
    if (state === 'made') first ??= at;
    if (state !== 'orphan') break;
    missing.push(at);
    at = parentOf(at) as string;
  }
  for (const directory of missing.reverse()) {
    // Somebody has taken away what was there just now: ENOENT it is.
    if ((await make(calls, directory)) === 'orphan') await calls.mkdir(directory);
    first ??= directory;
  }
  return first;
}
