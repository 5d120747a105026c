import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { containerDir, containersDir } from '../../lib/detached/stateDir.js';
import { Container, type CreateOptions } from '../../lib/index.js';
import { newId } from '../../lib/specOf.js';
import { ownCgroups } from './leaks.js';
import type { Requirement } from './needs.js';

const program = fileURLToPath(new URL('./detachedChild.js', import.meta.url));

/** A place for detached containers: root has one, others need XDG_RUNTIME_DIR. */
export const runtimeDir: Requirement = {
  name: 'a runtime directory',
  check() {
    try {
      containersDir();
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  },
};

type Child = ChildProcessByStdio<null, Readable, null>;

/** Another process that creates or opens one. */
export function otherProcess(what: 'create' | 'try' | 'stay' | 'spawn', argument: string): Child {
  return spawn(process.execPath, [program, what, argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** The first line that it prints. */
export async function firstLine(child: Child): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'));
  }
  throw new Error(`it ended with ${child.exitCode} ${child.signalCode} and said nothing`);
}

/** Resolves with exit code and signal. */
export async function ended(child: Child): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return [child.exitCode, child.signalCode];
}

const made: string[] = [];

/** An id that `removeAll` knows; without a prefix one as ours are, whose cgroups a sweep knows by their names. */
export function freshId(prefix = 't'): string {
  const id = `${prefix}${newId()}`;
  made.push(id);
  return id;
}

/** Has a process create one and end. */
export async function createElsewhere(options: CreateOptions = {}): Promise<string> {
  const id = freshId();
  const child = otherProcess('create', JSON.stringify({ id, ...options }));
  await firstLine(child);
  await ended(child);
  return id;
}

/** Removes every container that a test has made, whatever became of it. */
export async function removeAll(): Promise<void> {
  for (const id of made.splice(0)) {
    if (existsSync(containerDir(id))) await Container.remove(id, { force: true }).catch(() => {});
  }
}

/** What is left on the host of a container: its directory and its cgroups. */
export function leftOf(id: string): string[] {
  const cgroups = ownCgroups().map((dir) => join(dir, `ringfort-${id}`));
  return [containerDir(id), ...cgroups].filter((path) => existsSync(path));
}
