import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

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
 * At once: the kernel makes it up from memory in less time than a thread of Node's pool is asked,
 * and a worker that is terminated meanwhile would leave a descriptor.
 * @throws Error of Node's when the file is there and cannot be read just now (EMFILE)
 */
export async function readOptional(path: string): Promise<string | undefined> {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (absent.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** A cgroup and those directly below it: what v1, and v2 before 6.11, do not add up themselves. */
export async function withChildren(dir: string): Promise<string[]> {
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    const below = entries.filter((entry) => entry.isDirectory());
    return [dir, ...below.map(({ name }) => join(dir, name))];
  } catch (error) {
    if (absent.includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

/**
 * Writes a file of a cgroup, which may take its time: a limit on memory first takes back what is
 * above it. In a worker at once, because one that is terminated meanwhile would leave a descriptor.
 * @throws Error of Node's
 */
export async function writeControl(path: string, data: string): Promise<void> {
  // Node makes no system call for nothing.
  const line = data === '' ? '\n' : data;
  if (isMainThread) await writeFile(path, line);
  else writeFileSync(path, line);
}
