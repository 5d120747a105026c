import { basename } from 'node:path';
import { abortError, throwIfAborted } from '../abort.js';
import { leavable } from '../leavable.js';
import type { AgentListener, FileAgent } from './agent.js';
import { type GuestPath, pathBytes, pathText } from './paths.js';

/** One change, as node:fs/promises' `watch` gives it. */
export interface WatchEvent {
  /** `'rename'`: a name came or went; `'change'`: contents or attributes. */
  eventType: 'rename' | 'change';
  /** The name in the watched directory, or of the watched file; `null`: events were lost. */
  filename: string | null;
}

/** Options of `watch`. */
export interface WatchOptions {
  /** Ends the iteration with an AbortError. */
  signal?: AbortSignal | undefined;
  /** Whether it keeps Node alive. Default true. */
  persistent?: boolean | undefined;
}

// inotify(7)
const mask = {
  modify: 0x2,
  attrib: 0x4,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  delete: 0x200,
  deleteSelf: 0x400,
  moveSelf: 0x800,
  overflow: 0x4000,
  ignored: 0x8000,
};
const wanted =
  mask.modify |
  mask.attrib |
  mask.movedFrom |
  mask.movedTo |
  mask.create |
  mask.delete |
  mask.deleteSelf |
  mask.moveSelf;
const content = mask.modify | mask.attrib;

/** Events that wait for a slow reader; what comes beyond them is told as lost. */
const maxQueued = 2048;

/** One iteration over the events of one path. */
class Watcher {
  readonly #queue: WatchEvent[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  push(event: WatchEvent): void {
    if (this.#queue.length < maxQueued) this.#queue.push(event);
    else this.#queue[maxQueued - 1] = { eventType: 'change', filename: null };
    this.#wake?.();
  }

  end(error?: Error): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake?.();
  }

  /** The next event, `undefined` at the end. */
  async next(): Promise<WatchEvent | undefined> {
    for (;;) {
      const event = this.#queue.shift();
      if (event !== undefined) return event;
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}

/** All watches of a file agent. Two of the same file share a number of the kernel's. */
export class Watches implements AgentListener {
  readonly #agent: FileAgent;
  readonly #watchers = new Map<number, Set<Watcher>>();
  #turn: Promise<unknown> = Promise.resolve();
  #stop: (() => void) | undefined;
  /** How the last agent has ended. */
  #ended: Error | undefined;

  constructor(agent: FileAgent) {
    this.#agent = agent;
  }

  /** Changes of a file, or of the entries of a directory, until the iteration is left. */
  watch(path: GuestPath, options: WatchOptions = {}): AsyncGenerator<WatchEvent, void, undefined> {
    const { persistent = true } = options;
    return leavable(options.signal, (signal) => this.#watch(path, signal, persistent));
  }

  async *#watch(
    path: GuestPath,
    signal: AbortSignal,
    persistent: boolean,
  ): AsyncGenerator<WatchEvent, void, undefined> {
    throwIfAborted(signal);
    const watcher = new Watcher();
    const release = persistent ? this.#agent.keepAlive() : undefined;
    const added = this.#inTurn(() => this.#add(path, watcher, signal));
    const aborted = new Promise<never>((_, reject) => {
      const abort = () => {
        const error = abortError(signal);
        watcher.end(error);
        reject(error);
      };
      signal.addEventListener('abort', abort, { once: true });
    });
    let begun = false;
    try {
      await Promise.race([added, aborted]);
      begun = true;
      const name = basename(pathText(path));
      for (;;) {
        const event = await watcher.next();
        if (event === undefined) return;
        yield event.filename === '' ? { ...event, filename: name } : event;
      }
    } finally {
      release?.();
      const remove = (number: number) => this.#inTurn(() => this.#remove(number, watcher));
      const removed = added.then(remove, () => {});
      // Nobody waits for an answer that has not come.
      if (begun) await this.#agent.tidied(() => removed);
    }
  }

  /** One after the other: else a removal could take away what an addition has just been given. */
  #inTurn<T>(body: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(body);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #add(path: GuestPath, watcher: Watcher, signal: AbortSignal): Promise<number> {
    throwIfAborted(signal);
    this.#stop ??= this.#agent.listen(this);
    const { generation } = this.#agent;
    const request = { path: pathBytes(path, 'watch'), numbers: [wanted] };
    // Without the signal: whether its number may be given back is known here only.
    const { value } = await this.#agent.call('watch', request, { syscall: 'watch', path });
    // It has ended since it answered: the next agent's watch of this number is another's.
    if (this.#agent.generation !== generation) throw this.#ended;
    const set = this.#watchers.get(value) ?? new Set();
    this.#watchers.set(value, set.add(watcher));
    return value;
  }

  async #remove(number: number, watcher: Watcher): Promise<void> {
    const set = this.#watchers.get(number);
    set?.delete(watcher);
    if (set === undefined || set.size > 0) return;
    this.#watchers.delete(number);
    const request = { numbers: [number] };
    // The kernel may have removed it already, with what it watched.
    const about = { syscall: 'watch' };
    await this.#agent.tidied((options) => this.#agent.call('unwatch', request, about, options));
  }

  onEnd(error: Error): void {
    this.#ended = error;
    for (const set of this.#watchers.values()) for (const watcher of set) watcher.end(error);
    // The next agent counts from the start again.
    this.#watchers.clear();
  }

  onEvents(events: Buffer): void {
    for (let at = 0; at + 16 <= events.length; ) {
      const number = events.readInt32LE(at);
      const bits = events.readUInt32LE(at + 4);
      const size = events.readUInt32LE(at + 12);
      const field = events.subarray(at + 16, at + 16 + size);
      const end = field.indexOf(0);
      this.#onEvent(number, bits, field.subarray(0, end < 0 ? size : end).toString());
      at += 16 + size;
    }
  }

  #onEvent(number: number, bits: number, filename: string): void {
    if ((bits & mask.overflow) !== 0) {
      const lost: WatchEvent = { eventType: 'change', filename: null };
      for (const set of this.#watchers.values()) for (const watcher of set) watcher.push(lost);
      return;
    }
    for (const watcher of this.#watchers.get(number) ?? []) {
      if ((bits & mask.ignored) !== 0) watcher.end();
      else watcher.push({ eventType: (bits & ~content) === 0 ? 'change' : 'rename', filename });
    }
    if ((bits & mask.ignored) !== 0) this.#watchers.delete(number);
  }
}
