import { throwIfAborted } from '../abort.js';
import {
  type CgroupPaths,
  type EventWatch,
  type LimitEvent,
  type LimitEventType,
  type Usage,
  watchEvents,
} from '../cgroups/index.js';
import type { ExitReason } from '../result.js';

/** What each kind of event says beside when and of which container. */
export interface ContainerEventFacts {
  /** Its first process runs. */
  started: { pid: number };
  /** A program has been started in it. */
  exec: { execId: string; pid: number; command: string[] };
  /** That program has ended. */
  'exec-died': {
    execId: string;
    exitCode: number | null;
    signal: NodeJS.Signals | null;
    reason: ExitReason;
  };
  /** So many processes were killed for want of memory. */
  oom: { count: number };
  /** It ran into its memory limit so often; reclaim may have mended it. */
  'memory-limit': { count: number };
  /** So many forks were refused. */
  'pids-limit': { count: number };
  /** Its CPU quota held it back in so many periods. */
  throttled: { count: number };
  paused: object;
  resumed: object;
  /** Its limits were changed: fields of `linux.resources`. */
  updated: { limits: string[] };
  /** It has ended; the last event. */
  died: { exitCode: number | null; signal: NodeJS.Signals | null; reason: ExitReason };
  /** The reader was so late that so many events before this one were dropped. */
  lost: { count: number };
}

/** The kinds of events. */
export type ContainerEventType = keyof ContainerEventFacts;

/** Something that has happened to a container; `time` in ms since the epoch. */
export type ContainerEvent = {
  [T in ContainerEventType]: { type: T; time: number; id: string } & ContainerEventFacts[T];
}[ContainerEventType];

/** Events that a reader may be behind by. */
const longestQueue = 1024;

/** One reader's events, from when it began to listen. */
class Reader {
  readonly #queue: ContainerEvent[] = [];
  #lost = 0;
  #ended = false;
  /** Those who wait for the next one. */
  #waiting: (() => void)[] = [];

  push(event: ContainerEvent): void {
    if (this.#queue.length >= longestQueue) {
      this.#queue.shift();
      this.#lost++;
    }
    this.#queue.push(event);
    this.wake();
  }

  end(): void {
    this.#ended = true;
    this.wake();
  }

  /** The next event; undefined at the end. */
  async next(signal: AbortSignal | undefined): Promise<ContainerEvent | undefined> {
    while (this.#queue.length === 0) {
      if (this.#ended) return undefined;
      throwIfAborted(signal);
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    const [first] = this.#queue as [ContainerEvent];
    if (this.#lost > 0) {
      const { time, id } = first;
      const count = this.#lost;
      this.#lost = 0;
      return { type: 'lost', time, id, count };
    }
    return this.#queue.shift();
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/** Hands a container's events to whoever listens, and looks for the kernel's while somebody does. */
export class EventHub {
  readonly #id: string;
  readonly #readers = new Set<Reader>();
  #paths: CgroupPaths | undefined;
  #watch: EventWatch | undefined;
  #ended = false;

  constructor(id: string) {
    this.#id = id;
  }

  emit<T extends ContainerEventType>(type: T, facts: ContainerEventFacts[T]): void {
    const event = { type, time: Date.now(), id: this.#id, ...facts } as ContainerEvent;
    for (const reader of this.#readers) reader.push(event);
  }

  /** It runs: its cgroups can be watched. */
  started(pid: number, paths: CgroupPaths): void {
    this.#paths = paths;
    this.emit('started', { pid });
    this.#look(true);
  }

  /** How many of this the watch has told. @returns 0 while nobody listens */
  told(type: LimitEventType): number {
    return this.#watch?.totals[type] ?? 0;
  }

  /** Looks at once: something that counts has ended. */
  async check(): Promise<void> {
    await this.#watch?.check();
  }

  /** The last event, with what its usage tells that no look has seen. */
  async died(facts: ContainerEventFacts['died'], usage: Usage): Promise<void> {
    const earlier = this.#watch?.earlier;
    for (const [type, total] of [
      ['oom', usage.oomKills],
      ['pids-limit', usage.pidsLimitHits],
    ] as const) {
      const count = (total ?? 0) - this.told(type) - (earlier?.[type] ?? 0);
      if (earlier !== undefined && count > 0) this.emit(type, { count });
    }
    this.#watch?.close();
    this.#ended = true;
    this.emit('died', facts);
    for (const reader of this.#readers) reader.end();
  }

  /** Without a last event: it has never run. */
  end(): void {
    this.#ended = true;
    for (const reader of this.#readers) reader.end();
  }

  /** @param fromStart whoever listens has done so since before it ran */
  #look(fromStart = false): void {
    if (this.#paths === undefined || this.#readers.size === 0 || this.#ended) return;
    const tell = ({ type, count }: LimitEvent) => this.emit(type, { count });
    this.#watch ??= watchEvents(this.#paths, tell, { fromStart });
  }

  /** The events from the call on, also those that happen before the first `next`. */
  listen(signal?: AbortSignal): AsyncIterableIterator<ContainerEvent> & AsyncDisposable {
    throwIfAborted(signal);
    const reader = new Reader();
    if (this.#ended) reader.end();
    this.#readers.add(reader);
    this.#look();
    const wake = () => reader.wake();
    signal?.addEventListener('abort', wake);
    const leave = () => {
      this.#readers.delete(reader);
      reader.end();
      signal?.removeEventListener('abort', wake);
      if (this.#readers.size > 0) return;
      this.#watch?.close();
      this.#watch = undefined;
    };
    const iterator: AsyncIterableIterator<ContainerEvent> & AsyncDisposable = {
      [Symbol.asyncIterator]: () => iterator,
      async next() {
        try {
          const value = await reader.next(signal);
          if (value !== undefined) return { done: false, value };
        } catch (error) {
          leave();
          throw error;
        }
        leave();
        return { done: true, value: undefined };
      },
      async return() {
        leave();
        return { done: true, value: undefined };
      },
      async [Symbol.asyncDispose]() {
        leave();
      },
    };
    return iterator;
  }
}
