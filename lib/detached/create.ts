import { chmodSync, closeSync, constants, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { givenUpBy, throwIfAborted } from '../abort.js';
import type { ContainerStart } from '../container/container.js';
import { Trace } from '../diagnostics.js';
import { ContainerError, errnoName, NotFoundError, orScarcity } from '../errors.js';
import { untilGone } from '../follow.js';
import { hostFacts } from '../host/hostFacts.js';
import { IdLock, idLockPath } from '../host/idLock.js';
import { type Launched, launch, type RunnableSpec } from '../launch.js';
import { request } from '../launcher/messages.js';
import { layerOptionsOf } from '../layers/maintenance.js';
import type { CreateOptions } from '../options.js';
import { parseSize } from '../spec/size.js';
import { createSpecOf, newId } from '../specOf.js';
import { type OwnLock, type Supervisor, startSupervisor } from '../supervisor.js';
import { SocketType } from '../sys/constants.js';
import { close, listenAt } from '../sys/files.js';
import { bootId } from './bootId.js';
import { Detachment, isSame } from './detachment.js';
import { identifyCgroups } from './leftovers.js';
import { openDetached } from './open.js';
import { type DetachedState, writeDraft } from './state.js';
import {
  type Claim,
  containersDir,
  createStateDir,
  listStateDirs,
  removeUnfinished,
  stateFile,
} from './stateDir.js';
import { type MonitorStreams, openMonitorStreams } from './streams.js';

const defaultMaxSize = 10 << 20;
const defaultMaxFiles = 3;

/** Connections that may wait until the monitor lets them in. */
const backlog = 64;

/**
 * The id lock of one container: its own open file, so that the ranges stay locked just as long as
 * the monitor lives, which has a copy.
 */
class MonitorLock implements OwnLock {
  readonly #lock: IdLock;
  #closed = false;
  #handedOver = false;

  constructor(path: string) {
    this.#lock = new IdLock(path);
  }

  get fd(): number {
    return this.#lock.fd;
  }

  lock(start: number): boolean {
    return !this.#closed && this.#lock.lock(start);
  }

  unlock(start: number): void {
    if (!this.#closed && !this.#handedOver) this.#lock.unlock(start);
  }

  /** From now on what is locked is the monitor's: its copy goes with it. */
  handOver(): void {
    this.#handedOver = true;
  }

  close(): void {
    if (!this.#closed) this.#lock.close();
    this.#closed = true;
  }
}

function openMonitorLock(): MonitorLock | undefined {
  const path = idLockPath(hostFacts().privileged);
  return path === undefined ? undefined : new MonitorLock(path);
}

/** Everything of a creation that must not be left behind. */
interface Creation {
  id: string;
  path: string;
  claim: Claim;
  streams?: MonitorStreams;
  lock?: MonitorLock | undefined;
  monitor?: Supervisor;
  launched?: Launched;
  state?: DetachedState;
}

/** A creation that has come as far as its monitor. */
type Handed = Creation & { streams: MonitorStreams; monitor: Supervisor };

/** Undoes a creation that failed; nothing of it runs when this resolves. */
async function undo(creation: Creation): Promise<void> {
  const { path, claim, streams, lock, monitor, launched, state } = creation;
  let handedOver = false;
  try {
    launched?.kill();
    if (launched !== undefined) await untilGone(launched);
    handedOver = existsSync(join(path, stateFile.state));
    // Else its end is waited for, as any launcher's.
    if (!handedOver) monitor?.launcher.release(false);
    monitor?.launcher.close();
    streams?.destroy();
    lock?.close();
    if (!handedOver) removeUnfinished(path);
  } finally {
    // Kept, it would make the id one that is in use as long as this process lives.
    claim.release();
  }
  if (handedOver && state !== undefined) await endHandedOver(state);
}

/**
 * Ends a container whose monitor has taken over, but has not said so.
 * @throws ContainerError `ERR_DETACH_FAILED` when that cannot be done
 */
async function endHandedOver(state: DetachedState): Promise<void> {
  const { id } = state;
  try {
    const { launch, detachment } = await openDetached(id);
    // Somebody has removed it and made another of its name.
    if (!isSame(detachment.state, state)) return detachment.disconnect();
    const launched = await launch;
    launched?.kill();
    if (launched !== undefined) await untilGone(launched);
    await detachment.remove();
  } catch (cause) {
    if (cause instanceof NotFoundError) return;
    const message = `container ${id} may still run: its monitor does not answer`;
    const hint = `remove it: Container.remove('${id}', { force: true })`;
    throw new ContainerError('ERR_DETACH_FAILED', message, { phase: 'launcher', cause, hint });
  }
}

function stateOf(
  { id, launched, streams, monitor }: Handed & { launched: Launched },
  options: CreateOptions,
): DetachedState {
  const { command, labels = {}, logs = {} } = options;
  const { isolation, cgroup, inside, pid } = launched;
  const { uidMappings, gidMappings, denySetgroups, fileSources } = inside.facts;
  return {
    version: 1,
    id,
    createdAt: Date.now(),
    labels: { ...labels },
    ...(command && { command: [...command] }),
    bootId: bootId(),
    number: launched.id,
    pid,
    monitorPid: monitor.launcher.pid,
    spec: inside.spec,
    facts: { uidMappings, gidMappings, denySetgroups, fileSources: [...fileSources] },
    serves: inside.serves,
    reads: inside.reads,
    isolation,
    cgroup,
    cgroups: identifyCgroups(cgroup),
    streams: streams.has,
    logs: {
      maxSize: parseSize(logs.maxSize ?? defaultMaxSize, 'logs.maxSize'),
      maxFiles: logs.maxFiles ?? defaultMaxFiles,
    },
    layerOptions: layerOptionsOf(options),
  };
}

/** The body of a detach request (native/protocol.h, Detach). */
function detachBody({ logs }: DetachedState): Uint8Array {
  const body = Buffer.alloc(16);
  body.writeBigUInt64LE(BigInt(logs.maxSize), 0);
  body.writeUInt32LE(logs.maxFiles, 8);
  return body;
}

/** Hands the container over: from here on the launcher is its monitor, and ends without us. */
async function handOver(creation: Handed, state: DetachedState) {
  const { path, claim, streams, lock, monitor } = creation;
  const { O_RDONLY, O_DIRECTORY, O_WRONLY, O_CREAT, O_EXCL } = constants;
  // Each is closed by the side that opened it: in a worker, Node keeps account of its own.
  const opened: (() => void)[] = [];
  const open = (file: string, flags: number, mode?: number) => {
    const fd = openSync(file, flags, mode);
    opened.push(() => closeSync(fd));
    return fd;
  };
  try {
    writeDraft(path, state);
    const dir = open(path, O_RDONLY | O_DIRECTORY);
    const type = SocketType.SOCK_SEQPACKET | SocketType.SOCK_NONBLOCK;
    const socket = listenAt(`/proc/self/fd/${dir}/${stateFile.socket}`, type, backlog);
    opened.push(() => close(socket));
    chmodSync(join(path, stateFile.socket), 0o600);
    const exit = open(join(path, stateFile.exit), O_WRONLY | O_CREAT | O_EXCL, 0o600);
    const { bits, fds } = streams.kept();
    // Before the answer, which may be lost: then the monitor lives, without us.
    monitor.launcher.release(true);
    lock?.handOver();
    const { errno } = await monitor.launcher.ask(request.detach, state.number, bits, {
      body: detachBody(state),
      fds: [socket, dir, exit, claim.fd, ...fds],
    });
    if (errno !== 0) {
      const message = `the container could not be detached: ${errnoName(errno)}`;
      throw new ContainerError('ERR_DETACH_FAILED', message, { phase: 'launcher', errno: -errno });
    }
  } finally {
    for (const shut of opened) shut();
  }
}

async function build(creation: Creation, spec: RunnableSpec, options: CreateOptions) {
  const { id } = creation;
  const { signal } = options;
  const streams = openMonitorStreams(options);
  creation.streams = streams;
  const lock = openMonitorLock();
  creation.lock = lock;
  const monitor = await startSupervisor(lock);
  creation.monitor = monitor;
  throwIfAborted(signal);
  const launched = await launch({
    id,
    spec,
    fds: streams.fds,
    lives: true,
    giveUp: givenUpBy(signal),
    supervisor: monitor,
    onSent: () => streams.sent(),
    onPty: (fd) => streams.onPty(fd),
  });
  creation.launched = launched;
  throwIfAborted(signal);
  const state = stateOf({ ...creation, streams, launched, monitor }, options);
  creation.state = state;
  await handOver({ ...creation, streams, monitor }, state);
  return { state, launched, monitor };
}

/**
 * Creates a container that survives this process.
 * @throws as `createContainer`; StateError `ERR_CONTAINER_EXISTS`; PermissionError
 * `ERR_NO_RUNTIME_DIR`, `ERR_STATE_DIR`; ContainerError `ERR_DETACH_FAILED`, also where its state
 * cannot be written, as on a full disk. Nothing is left then.
 */
export async function createDetached(options: CreateOptions): Promise<ContainerStart> {
  const id = options.id ?? newId();
  const spec = createSpecOf(id, options);
  throwIfAborted(options.signal);
  try {
    return await create(id, spec, options);
  } catch (error) {
    throw orNotDetached(orScarcity(error));
  }
}

/** What the file system of the state directory says, such as that it is full. */
function orNotDetached(error: unknown): unknown {
  const { errno, syscall, message } = error as NodeJS.ErrnoException;
  if (error instanceof ContainerError || errno === undefined || syscall === undefined) return error;
  return new ContainerError('ERR_DETACH_FAILED', `the container cannot be kept: ${message}`, {
    phase: 'launcher',
    errno,
    syscall,
    cause: error,
    hint: `it would be kept in ${containersDir()}`,
  });
}

async function create(
  id: string,
  spec: RunnableSpec,
  options: CreateOptions,
): Promise<ContainerStart> {
  // Sweeps what creators have left that were killed.
  listStateDirs();
  const { claim, path } = await createStateDir(id);
  const trace = new Trace({
    containerId: id,
    labels: { ...options.labels },
    ...(options.command && { file: options.command[0] as string }),
  });
  const creation: Creation = { id, path, claim };
  try {
    const { state, launched, monitor } = await build(creation, spec, options);
    // Ours of what the monitor has now: what is locked is so as long as it lives.
    creation.streams?.destroy();
    creation.lock?.close();
    claim.release();
    launched.hold(false);
    const detachment = new Detachment(state, monitor.launcher);
    const launch = Promise.resolve({ ...launched, ended: detachment.watch(launched.ended) });
    const { labels, createdAt, layerOptions } = state;
    const { spec: found } = launched.inside;
    return { id, spec: found, labels, createdAt, detachment, launch, trace, layerOptions };
  } catch (error) {
    trace.failed(error);
    await undo(creation);
    throw error;
  }
}
