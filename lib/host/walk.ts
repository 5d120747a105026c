import { lstatSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';

/** Where a walk inside a root has ended. */
export interface Walked {
  /** Whether everything on the way, and the end, exists. */
  exists: boolean;
  /** The path inside the root, with every link resolved as far as it exists. */
  path: string;
}

/** Links on one way, as the kernel bounds them (path_resolution(7)). */
const maxLinks = 40;

/**
 * Resolves a path as openat2(2) with RESOLVE_IN_ROOT would, without touching anything: absolute
 * links and '..' stay inside. What it finds is a hint for the plan, never a check of safety: the
 * root may change before the kernel resolves the path again.
 * @param layers host directories, first on top, as an overlay would merge them
 * @param path absolute
 */
export function walkInRoot(layers: readonly string[], path: string): Walked {
  const rest = path.split('/').filter((part) => part !== '');
  let at = '/';
  let exists = true;
  let links = 0;
  while (rest.length > 0) {
    const part = rest.shift() as string;
    if (part === '.' || part === '..') {
      at = posix.join(at, part);
      continue;
    }
    const next = posix.join(at, part);
    const found = exists ? lookUp(layers, next) : undefined;
    if (found === undefined || (found.target !== undefined && ++links > maxLinks)) exists = false;
    if (found?.target === undefined) {
      at = next;
      continue;
    }
    if (!exists) break;
    if (found.target.startsWith('/')) at = '/';
    rest.unshift(...found.target.split('/').filter((each) => each !== ''));
  }
  return { exists, path: at };
}

function lookUp(layers: readonly string[], path: string): { target?: string } | undefined {
  for (const layer of layers) {
    const file = posix.join(layer, path);
    try {
      if (!lstatSync(file).isSymbolicLink()) return {};
      return { target: readlinkSync(file) };
    } catch {
      // Not in this layer, or another container that shares it has changed it just now.
    }
  }
  return undefined;
}
