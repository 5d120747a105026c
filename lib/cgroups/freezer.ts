import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ContainerError, errnoName, NotFoundError } from '../errors.js';
import { flatKeyed } from './counters.js';
import { type CgroupPaths, readOptional, writeControl } from './liveFiles.js';
import { laterHints, unsupported } from './unavailable.js';

/** Longest pause between two looks at the state, ms. */
const slowest = 25;

interface Freezer {
  file: string;
  data: { frozen: string; thawed: string };
  /** The file that tells the state. */
  stateFile: string;
  isFrozen(state: string): boolean;
}

/**
 * Stops every process of a container where it is, and waits until all have stopped: what sleeps
 * uninterruptibly is waited for. New ones are born stopped. Frozen twice is frozen.
 * @param options `signal`: gives up waiting and thaws again
 * @throws UnsupportedError (ERR_CGROUP_UNAVAILABLE) where nothing can freeze; NotFoundError
 * (ERR_CGROUP_NOT_FOUND) when the container has ended; the reason of `signal`
 * @see cgroup-v2.rst "cgroup.freeze", cgroup-v1/freezer-subsystem.rst
 */
export async function freeze(
  paths: CgroupPaths,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const freezer = freezerOf(paths);
  options.signal?.throwIfAborted();
  try {
    await settle(freezer, true, options.signal);
  } catch (error) {
    // What is half frozen must not stay so when the caller is told that it is not.
    await writeControl(freezer.file, freezer.data.thawed).catch(() => {});
    throw error;
  }
}

/**
 * Lets a frozen container run on, and waits until it does. Thawed twice is thawed.
 * @param options `signal`: gives up waiting; it thaws all the same
 * @throws as `freeze`
 */
export async function thaw(
  paths: CgroupPaths,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  await settle(freezerOf(paths), false, options.signal);
}

/**
 * Whether all of it is frozen.
 * @throws as `freeze`
 */
export async function isFrozen(paths: CgroupPaths): Promise<boolean> {
  const freezer = freezerOf(paths);
  return freezer.isFrozen(await stateOf(freezer));
}

/** The same from one look, for who cannot wait; false where nothing can freeze, or it has ended. */
export function isFrozenNow(paths: CgroupPaths): boolean {
  try {
    const freezer = freezerOf(paths);
    return freezer.isFrozen(readFileSync(freezer.stateFile, 'utf8'));
  } catch {
    return false;
  }
}

function freezerOf({ unified, v1 }: CgroupPaths): Freezer {
  if (unified !== undefined) {
    return {
      file: join(unified, 'cgroup.freeze'),
      data: { frozen: '1', thawed: '0' },
      stateFile: join(unified, 'cgroup.events'),
      isFrozen: (text) => flatKeyed(text).get('frozen') === 1,
    };
  }
  if (v1.freezer !== undefined) {
    const file = join(v1.freezer, 'freezer.state');
    return {
      file,
      data: { frozen: 'FROZEN', thawed: 'THAWED' },
      stateFile: file,
      isFrozen: (text) => text.trim() === 'FROZEN',
    };
  }
  throw unsupported('controller freezer: this container has no cgroup that can be frozen', {
    hint: laterHints.pause,
  });
}

async function settle(freezer: Freezer, frozen: boolean, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  for (let pause = 1; ; pause = Math.min(2 * pause, slowest)) {
    // Each time anew: v1 misses a task that is forked meanwhile.
    await set(freezer, frozen);
    if (freezer.isFrozen(await stateOf(freezer)) === frozen) return;
    await sleep(pause, undefined, { signal }).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw error;
    });
  }
}

async function set({ file, data }: Freezer, frozen: boolean): Promise<void> {
  try {
    await writeControl(file, frozen ? data.frozen : data.thawed);
  } catch (cause) {
    const { code = '', errno = 0 } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') throw gone(file);
    throw new ContainerError('ERR_CGROUP_UNAVAILABLE', `${file}: ${errnoName(errno)}`, {
      phase: 'cgroup',
      path: file,
      syscall: 'write',
      errno,
      cause,
    });
  }
}

async function stateOf({ stateFile }: Freezer): Promise<string> {
  const text = await readOptional(stateFile);
  if (text === undefined) throw gone(stateFile);
  return text;
}

function gone(path: string): NotFoundError {
  return new NotFoundError('ERR_CGROUP_NOT_FOUND', `cgroup of ${path} has gone`, {
    phase: 'cgroup',
    path,
  });
}
