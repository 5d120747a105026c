import { writeSync } from 'node:fs';
import { givenUpBy, throwIfAborted } from '../abort.js';
import { createDetached } from '../detached/create.js';
import { Trace } from '../diagnostics.js';
import { orScarcity } from '../errors.js';
import { untilGone } from '../follow.js';
import { type GiveUp, type Launched, launch, type RunnableSpec } from '../launch.js';
import type { CreateOptions } from '../options.js';
import { mountFromOption } from '../spec/mountString.js';
import { createSpecOf, newId, workingDirectory } from '../specOf.js';
import type { Stdio } from '../stdio.js';
import { openStreams } from '../streams.js';
import { close, pipe2 } from '../sys/files.js';
import { Container } from './container.js';
import type { Waiting } from './life.js';
import { ContainerProcess } from './process.js';

/** A pipe on which a command waits for `start`. */
class Gate {
  /** The guest's end, for the plan. */
  readonly hold: number;
  #hold: number | undefined;
  #go: number | undefined;

  constructor() {
    const [read, write] = pipe2();
    this.hold = read;
    this.#hold = read;
    this.#go = write;
  }

  open(): void {
    if (this.#go === undefined) return;
    try {
      writeSync(this.#go, 'g');
    } catch {
      // It is dead: its launch says so.
    }
    this.close();
  }

  /** The plan has left with the guest's end. */
  sent(): void {
    if (this.#hold !== undefined) close(this.#hold);
    this.#hold = undefined;
  }

  close(): void {
    this.sent();
    if (this.#go !== undefined) close(this.#go);
    this.#go = undefined;
  }
}

function openGate(): Gate {
  try {
    return new Gate();
  } catch (error) {
    throw orScarcity(error);
  }
}

interface Creation {
  id: string;
  spec: RunnableSpec;
  stdio: Stdio;
  gate: Gate | undefined;
  giveUp: GiveUp;
}

/** Starts the launch; `created` resolves when it waits at the gate, or has gone through without one. */
function begin({ id, spec, stdio, gate, giveUp }: Creation) {
  let launching!: Promise<Launched>;
  const created = new Promise<Waiting | undefined>((resolve, reject) => {
    launching = launch({
      id,
      spec,
      giveUp,
      fds: stdio.fds,
      lives: true,
      onSent() {
        gate?.sent();
        stdio.sent();
      },
      ...(stdio.terminal && { onPty: stdio.terminal }),
      ...(gate && {
        hold: gate.hold,
        onCreated: ({ pid, signal, kill }) => resolve({ pid, signal, kill, go: () => gate.open() }),
      }),
    });
    launching.then(() => resolve(undefined), reject);
  });
  return { launching, created };
}

/** Options for another one; relative mounts mean what they mean now. */
function likeIt({ signal: _, mounts, ...options }: CreateOptions): CreateOptions {
  if (mounts === undefined) return options;
  const cwd = workingDirectory();
  return { ...options, mounts: mounts.map((each) => mountFromOption('mounts', each, cwd)) };
}

/**
 * Creates a container that lives: `exec` and `spawn` run programs in it.
 *
 * Without a `command` our init is its pid 1, and it lives until it is ended. With one, the command is
 * pid 1 and the container ends with it, as OCI has it; programs that are started in it later join
 * it. Either way it ends with this process, unless it is `detached`.
 * @throws InvalidSpecError for a wrong option, before anything is created
 * @throws StateError `ERR_CONTAINER_EXISTS` when the id is in use
 * @throws AbortError (`ABORT_ERR`) after `signal`
 * @throws NotFoundError, UnsupportedError, PermissionError as `run`
 * @throws with `detached` PermissionError `ERR_NO_RUNTIME_DIR`, `ERR_STATE_DIR`; ContainerError `ERR_DETACH_FAILED`
 */
export async function createContainer(options: CreateOptions = {}): Promise<Container> {
  if (options.detached === true) return new Container(await createDetached(options));
  const id = options.id ?? newId();
  const spec = createSpecOf(id, options);
  const origin = { options: likeIt(options), create: createContainer };
  const { command, signal, labels } = options;
  throwIfAborted(signal);
  const streams = options.stdio ?? (options.pty === undefined ? 'ignore' : 'pipe');
  const gate = options.start === false ? openGate() : undefined;
  let stdio: Stdio;
  try {
    stdio = openStreams({ stdio: streams, pty: options.pty });
  } catch (error) {
    gate?.close();
    throw error;
  }
  const file = command?.[0];
  const trace = new Trace({
    containerId: id,
    ...(file !== undefined && { file }),
    ...(labels !== undefined && { labels: { ...labels } }),
  });
  const { launching, created } = begin({ id, spec, stdio, gate, giveUp: givenUpBy(signal) });
  const end = () => {
    stdio.destroy();
    gate?.close();
  };
  let waiting: Waiting | undefined;
  try {
    waiting = await created;
  } catch (error) {
    trace.failed(error);
    end();
    throw error;
  }
  // Whether it starts at all `start` says.
  launching.catch(end);
  try {
    throwIfAborted(signal);
  } catch (error) {
    trace.failed(error);
    waiting?.kill();
    const launched = await launching.catch(() => undefined);
    launched?.kill();
    if (launched !== undefined) await untilGone(launched);
    end();
    throw error;
  }
  const main =
    command === undefined
      ? undefined
      : new ContainerProcess({
          file: command[0] as string,
          args: command.slice(1),
          options: {},
          stdio,
          start: () => launching,
        });
  // Its errors are those of `createContainer` and `start`.
  main?.on('error', () => {});
  return new Container({ id, spec, labels, launch: launching, waiting, main, trace, origin });
}
