import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfAborted } from '../abort.js';
import { ContainerError, ContainerGoneError, StateError } from '../errors.js';
import type { Ended } from '../follow.js';
import type { LauncherClient } from '../launcher/launcher.js';
import { type Attachment, type AttachOptions, attach } from './attach.js';
import { endOfSilent } from './end.js';
import { removeLeftovers } from './leftovers.js';
import { type LogEntry, type LogOptions, type LogSource, readLogs } from './logs.js';
import { type DetachedState, readState } from './state.js';
import { Claim, containerDir, removeStateDir } from './stateDir.js';

/** ms between two looks whether what is to go is gone, and how long it may take to. */
const removalPoll = 10;
const removalPatience = 30_000;

/** What a `Container` can do because it is detached. */
export class Detachment {
  readonly state: DetachedState;
  readonly #launcher: LauncherClient | undefined;
  #disconnected = false;
  #ended = false;

  /** @param launcher connected to its monitor; undefined of one that has ended */
  constructor(state: DetachedState, launcher: LauncherClient | undefined) {
    this.state = state;
    this.#launcher = launcher;
    this.#ended = launcher === undefined;
  }

  /** This process has let go of it. */
  get disconnected(): boolean {
    return this.#disconnected;
  }

  /** @throws ContainerGoneError `ERR_DISCONNECTED` */
  checkConnected(): void {
    if (this.#disconnected) throw this.#notConnected();
  }

  /**
   * Its end as the monitor has kept it, where this process does not hear of it. A monitor that lives
   * has let go of this process: then this is all there is to say.
   */
  watch(ended: Promise<Ended>): Promise<Ended> {
    const heard = ended
      .catch(async (error: unknown) => {
        if (this.#disconnected) throw error;
        // Where we cannot even look (EMFILE), it counts as alive.
        const end = await endOfSilent(this.state).catch(() => undefined);
        if (end !== undefined) return end;
        this.disconnect();
        throw this.#notConnected(error);
      })
      .finally(() => {
        this.#ended = !this.#disconnected;
      });
    // Nobody may ask.
    heard.catch(() => {});
    return heard;
  }

  /** @throws InvalidSpecError; AbortError */
  logs(options: LogOptions): AsyncGenerator<LogEntry, void, undefined> {
    throwIfAborted(options.signal);
    return readLogs(this.#source(), options);
  }

  #source(): LogSource {
    const { id, logs } = this.state;
    // Whoever has let go of it would wait for ever.
    const ended = () => this.#ended || this.#disconnected;
    return { dir: containerDir(id), maxFiles: logs.maxFiles, ended };
  }

  attach(options: AttachOptions): Promise<Attachment> {
    const { id, number, streams } = this.state;
    const target = { id, number, streams, source: this.#source(), launcher: this.#launcher };
    return attach(target, options);
  }

  /** Removes what is kept of it, once its monitor is gone. */
  async remove(): Promise<void> {
    await removeDirectory(this.state.id, this.state);
    this.disconnect();
  }

  /** Lets go of it: what was started in it from here ends, and the container goes on. */
  disconnect(): void {
    if (this.#disconnected) return;
    this.#disconnected = true;
    this.#launcher?.close(this.#notConnected());
  }

  #notConnected(cause?: unknown): ContainerGoneError {
    const message = `this process is not connected to container ${this.state.id} any more`;
    return new ContainerGoneError('ERR_DISCONNECTED', message, {
      ...(cause !== undefined && { cause, hint: 'its monitor has let go of it; open it again' }),
    });
  }
}

/** Whether two states are of one container, and not of a later one of its name. */
export function isSame(a: DetachedState, b: DetachedState): boolean {
  return a.createdAt === b.createdAt && a.monitorPid === b.monitorPid;
}

/** Whether what is kept under the id is still that container. */
function isStill(state: DetachedState): boolean {
  try {
    return isSame(readState(state.id), state);
  } catch (error) {
    // Gone or damaged; anything else says nothing about it.
    if (error instanceof ContainerError) return false;
    throw error;
  }
}

/**
 * Removes the directory of a container as soon as nobody has a claim on it.
 * @param state of the one that is meant; absent where it is damaged
 * @throws StateError `ERR_CONTAINER_BUSY` when its monitor does not go, or a cgroup of it
 */
export async function removeDirectory(id: string, state?: DetachedState): Promise<void> {
  let claim: Claim | undefined;
  await patiently(id, () => {
    if (state !== undefined && !isStill(state)) return true;
    claim = Claim.take(id);
    return claim !== undefined;
  });
  try {
    if (claim === undefined || (state !== undefined && !isStill(state))) return;
    // A monitor that went by itself has left nothing.
    if (state !== undefined) await patiently(id, () => removeLeftovers(state));
    removeStateDir(containerDir(id));
  } finally {
    claim?.release();
  }
}

async function patiently(id: string, look: () => boolean): Promise<void> {
  const since = performance.now();
  while (!look()) {
    if (performance.now() - since > removalPatience) {
      throw new StateError('ERR_CONTAINER_BUSY', `container ${id}: something of it stays`, {
        phase: 'teardown',
        path: containerDir(id),
        hint: 'its monitor lives, or a cgroup of it is in use',
      });
    }
    await sleep(removalPoll);
  }
}
