import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PermissionError, StateError } from '../errors.js';
import { hostFacts } from '../host/hostFacts.js';
import { makePrivateDirectory, stateDirectory } from '../host/stateDir.js';
import { isByteLocked, lockByte } from '../sys/files.js';

/** Files of a detached container's directory. */
export const stateFile = {
  state: 'state.json',
  /** What `state` is before the monitor has taken over. */
  draft: 'state.json.new',
  socket: 'socket',
  exit: 'exit',
  log: 'log',
} as const;

/** A name that may be a container's id, and so a directory of ours. */
export function isId(name: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(name);
}

/**
 * Where detached containers are kept: /run/ringfort/containers, for an ordinary user below
 * `XDG_RUNTIME_DIR`. Nothing is created.
 * @throws PermissionError `ERR_NO_RUNTIME_DIR` for a user who has no place for them
 */
export function containersDir(): string {
  const directory = stateDirectory(hostFacts().privileged);
  if (directory !== undefined) return join(directory, 'containers');
  throw new PermissionError(
    'ERR_NO_RUNTIME_DIR',
    'an ordinary user’s detached containers need XDG_RUNTIME_DIR, which is not set',
    { phase: 'launcher', hint: 'set it to a directory of your own, such as /run/user/$(id -u)' },
  );
}

/** Directory of one container. */
export function containerDir(id: string): string {
  return join(containersDir(), id);
}

/**
 * Whose a container is: a lock of one byte, the id's, on a file beside all of them
 * (fcntl_locking(2), F_OFD_SETLK). Its monitor has it as long as it lives, and whoever creates or
 * removes the container holds it meanwhile. So a directory whose lock is free has no owner.
 */
export class Claim {
  /** Descriptor that carries the lock; the monitor gets it. */
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** @returns undefined when somebody has it */
  static take(id: string): Claim | undefined {
    const fd = openLockFile();
    let held = false;
    try {
      held = lockByte(fd, offsetOf(id));
    } finally {
      if (!held) closeSync(fd);
    }
    return held ? new Claim(fd) : undefined;
  }

  /** Gives it up here; the monitor keeps it if it has been handed the descriptor. */
  release(): void {
    closeSync(this.fd);
  }
}

function openLockFile(): number {
  const root = containersDir();
  makePrivateDirectory(dirname(root));
  makePrivateDirectory(root);
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  return openSync(`${root}.lock`, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
}

/** The byte that stands for an id: 52 bits of its hash, which no two of them will ever share. */
function offsetOf(id: string): number {
  return Number(createHash('sha256').update(id).digest().readBigUInt64LE() >> 12n);
}

/** How often a claim on a new id is tried, and ms between two tries. */
const looks = 20;
const lookPause = 10;

/**
 * Makes the directory of a new container.
 * @returns the claim on it, and its path
 * @throws StateError `ERR_CONTAINER_EXISTS` when there is one of that id, be it only its exit
 * @throws PermissionError `ERR_NO_RUNTIME_DIR`, `ERR_STATE_DIR`
 */
export async function createStateDir(id: string): Promise<{ claim: Claim; path: string }> {
  const path = containerDir(id);
  const claim = await freeClaim(id, path);
  if (claim === undefined) throw exists(id, path);
  try {
    if (existsSync(join(path, stateFile.state))) throw exists(id, path);
    // Half of one whose creator was killed.
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, 0o700);
    chmodSync(path, 0o700);
  } catch (error) {
    claim.release();
    throw error;
  }
  return { claim, path };
}

/** The claim on an id, which whoever clears up after a killed creator has for a moment. */
async function freeClaim(id: string, path: string): Promise<Claim | undefined> {
  for (let look = 1; ; look++) {
    const claim = Claim.take(id);
    if (claim !== undefined || look === looks) return claim;
    if (existsSync(join(path, stateFile.state))) return undefined;
    await sleep(lookPause);
  }
}

function exists(id: string, path: string): StateError {
  return new StateError('ERR_CONTAINER_EXISTS', `container ${id} already exists`, {
    phase: 'launcher',
    path,
    hint: 'remove it first, or leave the id to us',
  });
}

/** Removes a container's directory; the caller has its claim. What says that there is one goes first. */
export function removeStateDir(path: string): void {
  rmSync(join(path, stateFile.state), { force: true });
  rmSync(path, { recursive: true, force: true });
}

/**
 * Removes the directory of a creation that failed, without opening anything: there may be no
 * descriptor left. What stays all the same `listStateDirs` removes once it has no claim.
 */
export function removeUnfinished(path: string): void {
  try {
    for (const file of [stateFile.draft, stateFile.socket, stateFile.exit, stateFile.log])
      rmSync(join(path, file), { force: true });
    rmdirSync(path);
  } catch {
    // What went wrong before is what the caller is told.
  }
}

/**
 * The ids of all containers that there are, and removes what is left of those whose creator was
 * killed: directories of ours without a state that nobody has a claim on.
 */
export function listStateDirs(): string[] {
  const root = containersDir();
  if (!existsSync(root)) return [];
  const names = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isId(entry.name))
    .map(({ name }) => name);
  return names.filter((name) => {
    const path = join(root, name);
    if (existsSync(join(path, stateFile.state))) return true;
    sweep(name, path);
    return false;
  });
}

function sweep(id: string, path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.uid !== process.geteuid?.()) return;
  const claim = Claim.take(id);
  if (claim === undefined) return;
  try {
    // Its creator may just have finished.
    if (!existsSync(join(path, stateFile.state))) removeStateDir(path);
  } finally {
    claim.release();
  }
}

/** Whether a container's monitor lives (or somebody is creating or removing it). */
export function isClaimed(id: string): boolean {
  const fd = openLockFile();
  try {
    return isByteLocked(fd, offsetOf(id));
  } finally {
    closeSync(fd);
  }
}
