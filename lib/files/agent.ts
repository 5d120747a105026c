import { abortError } from '../abort.js';
import { ContainerGoneError } from '../errors.js';
import type { MessageSocket } from '../native/binding.js';
import { loadBinding } from '../native/load.js';
import { close } from '../sys/files.js';
import { Turns } from '../turns.js';
import { type About, callError } from './paths.js';
import {
  type DirHandle,
  decodeReply,
  encodeRequest,
  type FileOp,
  type FileReply,
  type FileRequest,
  fileProtocol,
} from './protocol.js';

/** What a call came back with. */
export interface Answer {
  value: number;
  /** The listing of a directory is complete. */
  last: boolean;
  data: Buffer;
  /** A descriptor, the caller's to close; −1 when none came. */
  fd: number;
}

/** How a call differs from the plain one. */
export interface CallOptions {
  /** Gives up waiting; what has been sent is still carried out. */
  signal?: AbortSignal | undefined;
  /** What has been sent is waited for, so that its caller can take it back; not in a paused container. */
  whole?: boolean | undefined;
  /** A descriptor of ours that the call is about (`dir: fileProtocol.passed`). */
  fd?: number | undefined;
  /**
   * It goes on with something: in a container that is paused meanwhile it waits, and is not refused.
   * Default: whether it begins at a directory that is held.
   */
  begun?: boolean | undefined;
  /** Nobody waits for it: it does not keep the event loop alive. Default: false. */
  unheard?: boolean | undefined;
}

/** Who hears of an agent's watches. */
export interface AgentListener {
  /** `struct inotify_event`s, as many as came together. */
  onEvents(events: Buffer): void;
  /** The agent has ended, and its watches with it. */
  onEnd(error: Error): void;
}

interface Call {
  op: FileOp;
  bytes: Uint8Array;
  fds: readonly number[];
  settle(reply: FileReply, fd: number): void;
  fail(error: Error): void;
  /** Whoever called has given up. */
  dropped: boolean;
  /** Whether the event loop goes on until it is answered. */
  readonly heard: boolean;
}

const EMFILE = 24;
/** Calls on their way at once; the rest wait here, where an abort can take them back. */
const maxInFlight = 64;

const { cwd, passed, maxDirs } = fileProtocol;

/**
 * Work that holds directories of the agent's open, so much at once that its `maxDirs` suffice: on
 * trees, which takes a dozen (`HeldPath`, and what else a copy is at), and listings, which take one.
 * The rest is for those that an abort has met, until they are closed.
 */
const atOnce = { trees: 16, listings: 32 };

function isPlace(handle: DirHandle): boolean {
  return handle === cwd || handle === passed;
}

/** A handle as its agent knows it. */
function numberOf(handle: DirHandle = cwd): number {
  return isPlace(handle) ? handle : handle % maxDirs;
}

function gone(): ContainerGoneError {
  return new ContainerGoneError(
    'ERR_CONTAINER_GONE',
    'the container has ended, or its file agent was killed',
    { phase: 'process' },
  );
}

/**
 * The client of one file agent: the process inside a container that does file system calls for us
 * (native/launcher/file_agent.h). Requests are carried out one after the other, in order.
 */
export class FileAgent {
  /** Starts the agent, and again where it was killed; absent for one that was handed over. */
  readonly #open: (() => Promise<number>) | undefined;
  readonly #ready: () => void;
  #socket: MessageSocket | undefined;
  #opening = false;
  readonly #waiting: { id: number; call: Call }[] = [];
  readonly #sent = new Map<number, Call>();
  readonly #listeners = new Set<AgentListener>();
  #nextId = 1;
  /** Calls without an answer that somebody waits for. */
  #heard = 0;
  #kept = 0;
  #generation = 0;
  #gone: ContainerGoneError | undefined;
  readonly #turns = { trees: new Turns(atOnce.trees), listings: new Turns(atOnce.listings) };

  /**
   * @param socket our end of the agent's SOCK_SEQPACKET socket, the client's from now on; or how to
   * start an agent, for the first call, and for the next one after an agent was killed
   * @param ready throws while the container can be asked nothing
   */
  constructor(socket: number | (() => Promise<number>), ready = () => {}) {
    this.#ready = ready;
    if (typeof socket === 'number') this.#attach(socket);
    this.#open = typeof socket === 'number' ? undefined : socket;
  }

  #attach(fd: number): void {
    const { MessageSocket } = loadBinding();
    // It is the descriptor's owner from then on, also when it cannot be made.
    this.#socket = new MessageSocket(
      fd,
      (message, fds) => this.#onMessage(message, fds),
      () => this.#flush(),
      () => this.#onEnd(),
    );
  }

  async #start(open: () => Promise<number>): Promise<void> {
    this.#opening = true;
    try {
      const fd = await open();
      if (this.#gone !== undefined) close(fd);
      else this.#attach(fd);
    } catch (error) {
      this.#failAll(error as Error);
      return;
    } finally {
      this.#opening = false;
    }
    if (this.#kept > 0) this.#socket?.ref();
    this.#flush();
  }

  #onEnd(): void {
    if (this.#open === undefined) return this.close();
    this.#socket?.close();
    this.#socket = undefined;
    this.#end(gone());
  }

  /** Why calls fail, once the agent is gone for good. */
  get gone(): ContainerGoneError | undefined {
    return this.#gone;
  }

  /** Counts the agents: what one of them has numbered means nothing to the next. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * One request. A handle of an agent that was killed is refused: the next one has given its number
   * to another directory.
   * @throws SyscallError what the container's kernel says, about `about`
   * @throws ContainerGoneError `ERR_CONTAINER_GONE`
   * @throws AbortError
   */
  call(
    op: FileOp,
    request: FileRequest,
    about: About,
    { signal, whole, fd, begun = !isPlace(request.dir ?? cwd), unheard }: CallOptions = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (!begun) this.#ready();
      if (this.#gone !== undefined) return reject(this.#gone);
      const { dir, dir2 } = request;
      if (this.#isStale(dir) || this.#isStale(dir2)) return reject(gone());
      if (signal?.aborted === true) return reject(abortError(signal));
      const id = this.#nextId;
      this.#nextId = (id % 0xffffffff) + 1;
      const stop = () => {
        if (whole === true && this.#sent.has(id) && !this.#isPaused) return;
        call.dropped = true;
        reject(abortError(signal as AbortSignal));
      };
      const call: Call = {
        op,
        bytes: encodeRequest(op, id, { ...request, dir: numberOf(dir), dir2: numberOf(dir2) }),
        fds: fd === undefined ? [] : [fd],
        dropped: false,
        heard: unheard !== true,
        settle({ error, value, last, data }, received) {
          signal?.removeEventListener('abort', stop);
          if (error !== 0) reject(callError(error, about));
          // The descriptor table of this process is full (recvmsg(2), MSG_CTRUNC).
          else if (op === 'open' && received < 0) reject(callError(EMFILE, about));
          else resolve({ value, last, data, fd: received });
        },
        fail(error) {
          signal?.removeEventListener('abort', stop);
          reject(error);
        },
      };
      signal?.addEventListener('abort', stop, { once: true });
      if (call.heard) this.#heard++;
      this.#waiting.push({ id, call });
      this.#flush();
    });
  }

  /**
   * Work that begins at a path and holds directories open, when its turn has come; it has begun when
   * this is called. None of it may wait for more of its kind.
   * @throws AbortError
   */
  async inTurn<T>(
    kind: keyof typeof atOnce,
    work: () => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    this.#ready();
    try {
      return await this.#turns[kind].take(work, signal);
    } catch (error) {
      if (signal?.aborted === true && error === signal.reason) throw abortError(signal);
      throw error;
    }
  }

  /** Puts right what calls of ours have left. In a container that is paused nobody waits for it. */
  async tidied(work: (options: CallOptions) => Promise<unknown>): Promise<void> {
    const unheard = this.#isPaused;
    const done = work({ begun: true, unheard }).catch(() => {});
    if (!unheard) await done;
  }

  /** Or can be asked nothing for another reason. */
  get #isPaused(): boolean {
    try {
      this.#ready();
      return false;
    } catch {
      return true;
    }
  }

  /** @returns how to stop */
  listen(listener: AgentListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Keeps the event loop alive until the returned function is called, as a watch does. */
  keepAlive(): () => void {
    let kept = true;
    this.#kept++;
    this.#socket?.ref();
    return () => {
      if (kept) this.#kept--;
      kept = false;
      this.#rest();
    };
  }

  /** Ends the agent; everything pending is rejected with `ERR_CONTAINER_GONE`. Idempotent. */
  close(): void {
    if (this.#gone !== undefined) return;
    this.#gone = gone();
    this.#socket?.close();
    this.#end(this.#gone);
  }

  #end(error: Error): void {
    this.#generation++;
    this.#failAll(error);
    for (const listener of [...this.#listeners]) listener.onEnd(error);
  }

  #failAll(error: Error): void {
    const calls = [...this.#sent.values(), ...this.#waiting.map(({ call }) => call)];
    this.#sent.clear();
    this.#waiting.length = 0;
    this.#heard = 0;
    for (const call of calls) call.fail(error);
  }

  /** A number of this agent as no other one gives it. */
  #handleOf(value: number): DirHandle {
    return this.#generation * maxDirs + value;
  }

  #isStale(handle: DirHandle = cwd): boolean {
    return !isPlace(handle) && Math.floor(handle / maxDirs) !== this.#generation;
  }

  #flush(): void {
    const socket = this.#socket;
    if (socket === undefined) {
      if (!this.#opening && this.#open !== undefined && this.#waiting.length > 0)
        void this.#start(this.#open);
      return;
    }
    while (this.#sent.size < maxInFlight) {
      const next = this.#waiting[0];
      if (next === undefined) break;
      if (next.call.dropped) this.#answered(next.call);
      else if (!this.#send(socket, next.id, next.call)) return;
      this.#waiting.shift();
    }
    this.#rest();
  }

  /** @returns false when there is no room just now. */
  #send(socket: MessageSocket, id: number, call: Call): boolean {
    try {
      if (!socket.send(call.bytes, call.fds)) {
        socket.watchWritable();
        return false;
      }
    } catch (error) {
      // EPIPE is followed by the end of the socket; a bad descriptor concerns this call only.
      if ((error as NodeJS.ErrnoException).code !== 'EBADF') {
        this.#onEnd();
        return false;
      }
      this.#answered(call);
      call.fail(error as Error);
      return true;
    }
    this.#sent.set(id, call);
    if (call.heard) socket.ref();
    return true;
  }

  /** Only what somebody waits for keeps the event loop alive. */
  #rest(): void {
    if (this.#heard === 0 && this.#kept === 0) this.#socket?.unref();
  }

  #answered({ heard }: Call): void {
    if (heard) this.#heard--;
  }

  #onMessage(message: Buffer, fds: number[]): void {
    const reply = decodeReply(message);
    const call = reply?.kind === fileProtocol.kindReply ? this.#sent.get(reply.id) : undefined;
    if (reply !== undefined && call !== undefined) {
      this.#sent.delete(reply.id);
      this.#answered(call);
      // What comes unasked is closed below.
      const takes = call.op === 'open' && reply.error === 0 && !call.dropped;
      const [fd = -1] = takes ? fds.splice(0, 1) : [];
      if (call.op === 'openDir') reply.value = this.#handleOf(reply.value);
      if (call.dropped) this.#undo(call, reply);
      else call.settle(reply, fd);
      this.#flush();
    } else if (reply?.kind === fileProtocol.kindEvents) {
      for (const listener of [...this.#listeners]) listener.onEvents(reply.data);
    }
    for (const fd of fds) close(fd);
  }

  /** What nobody waits for any more must not stay open in the agent. A watch is `Watches`' to end. */
  #undo({ op }: Call, { error, value }: FileReply): void {
    if (error !== 0 || op !== 'openDir') return;
    const options = { begun: true, unheard: true };
    this.call('closeDir', { dir: value }, { syscall: 'close' }, options).catch(() => {});
  }
}
