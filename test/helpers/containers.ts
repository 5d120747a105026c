import { closeSync, openSync, readlinkSync } from 'node:fs';
import { launch } from '../../lib/launch.js';
import type { RunOptions } from '../../lib/options.js';
import { run } from '../../lib/run.js';
import { newId, specOf } from '../../lib/specOf.js';

/** Options of a run whose output is text. */
export type TextOptions = Omit<RunOptions, 'encoding'>;

/** stdout of a shell script in a container; it must exit with 0 and say nothing on stderr. */
export async function sh(script: string, options: TextOptions = {}): Promise<string> {
  const { exitCode, reason, stdout, stderr } = await run('sh', ['-c', script], options);
  if (exitCode !== 0 || stderr !== '')
    throw new Error(`${reason}, exit code ${exitCode}: ${stdout}${stderr}`);
  return stdout;
}

/** Everything that a shell script in a container prints, whatever its end. */
export async function output(script: string, options: TextOptions = {}): Promise<string> {
  const { stdout } = await run('sh', ['-c', `exec 2>&1; ${script}`], options);
  return stdout;
}

/** The error that a run is refused with. */
export async function refusal(options: TextOptions, file = 'true'): Promise<unknown> {
  try {
    await run(file, [], options);
  } catch (error) {
    return error;
  }
  throw new Error('nothing was refused');
}

/** Names of /proc/<pid>/ns (namespaces(7)). */
export const namespaceFiles = [
  ...['user', 'pid', 'mnt', 'net', 'ipc', 'uts', 'cgroup', 'time'],
] as const;
export type NamespaceFile = (typeof namespaceFiles)[number];

/** Identity of each namespace of a process: its link, such as `net:[4026531840]`. */
export function namespacesOf(pid: number | 'self'): Record<NamespaceFile, string> {
  const entries = namespaceFiles.map((file) => [file, readlinkSync(`/proc/${pid}/ns/${file}`)]);
  return Object.fromEntries(entries);
}

/** The same of a container's program, as it sees it. */
export async function namespacesInside(
  options: TextOptions = {},
): Promise<Record<NamespaceFile, string>> {
  const out = await sh(`cd /proc/self/ns; readlink ${namespaceFiles.join(' ')}`, options);
  const links = out.trim().split('\n');
  return Object.fromEntries(namespaceFiles.map((file, i) => [file, links[i]])) as Record<
    NamespaceFile,
    string
  >;
}

/** Calls back while a container lives, with the host's pid of its first process. */
export async function during<T>(
  options: TextOptions,
  body: (pid: number, id: string) => Promise<T> | T,
): Promise<T> {
  const id = newId();
  const nothing = openSync('/dev/null', 'r+');
  const fds = [nothing, nothing, nothing];
  const container = await launch({ id, spec: specOf(id, 'sleep', ['600'], options), fds });
  closeSync(nothing);
  try {
    return await body(container.pid, id);
  } finally {
    container.kill();
    await container.ended;
  }
}
