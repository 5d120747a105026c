import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Directories of a container's or a program's cgroups: `CgroupPlan.paths`. */
export interface CgroupPaths {
  readonly unified?: string;
  /** By controller. */
  readonly v1: Readonly<Record<string, string>>;
}

/** No such file, a cgroup that is dying, an interface that is switched off (PSI). */
const absent = ['ENOENT', 'ENODEV', 'EOPNOTSUPP'];

/**
 * The text of a file of a cgroup, undefined where it is missing or the cgroup has gone.
 * @throws Error of Node's when the file is there and cannot be read just now (EMFILE)
 */
export async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (absent.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** A cgroup and those directly below it: what v1, and v2 before 6.11, do not add up themselves. */
export async function withChildren(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    const below = entries.filter((entry) => entry.isDirectory());
    return [dir, ...below.map(({ name }) => join(dir, name))];
  } catch (error) {
    if (absent.includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
