import { join } from 'node:path';
import { type Counters, parseCounters } from './counters.js';
import { type CgroupPaths, readOptional, withChildren } from './liveFiles.js';
import { addsUpPids, localMemoryFiles } from './stats.js';

/** What a container can run into. */
export type LimitEventType = 'oom' | 'memory-limit' | 'pids-limit' | 'throttled';

/** It has happened `count` more times since the last event of the type. */
export interface LimitEvent {
  type: LimitEventType;
  /** At least 1. */
  count: number;
}

/** How `watchEvents` looks. */
export interface WatchOptions {
  /** Time between two looks, ms. Default 250. */
  interval?: number | undefined;
  /** Tell what happened before the watch began, too: for a container that has just been made. */
  fromStart?: boolean | undefined;
}

/** A watch in progress. */
export interface EventWatch {
  /** How often each has been told so far. */
  readonly totals: Readonly<Record<LimitEventType, number>>;
  /** How often each had happened before the watch began; undefined before its first look. */
  readonly earlier: Readonly<Record<LimitEventType, number>> | undefined;
  /** Looks at once, and resolves when what it saw has been told. */
  check(): Promise<void>;
  /** Ends it; harmless twice. Nothing is told after that. */
  close(): void;
}

const keys = {
  oom: ['oomKills'],
  'memory-limit': ['memoryLimitHits', 'memswLimitHits'],
  'pids-limit': ['pidsLimitHits'],
  throttled: ['throttledPeriods'],
} as const satisfies Record<LimitEventType, readonly (keyof Counters)[]>;

const types = Object.keys(keys) as LimitEventType[];

/**
 * Tells what a container runs into: processes killed for want of memory, the limits of memory and
 * of tasks, the CPU quota. It reads a few small files at an interval, and does not keep Node alive.
 * What happens between the last look and the end of the container or of one of its programs is in
 * the usage of that (`oomKills`, `pidsLimitHits`), not here.
 * A v1 kernel that does not count how often the memory limit is met (6.18) has no 'memory-limit'.
 * @param listener must not throw
 */
export function watchEvents(
  paths: CgroupPaths,
  listener: (event: LimitEvent) => void,
  options: WatchOptions = {},
): EventWatch {
  const watch = new Watch(paths, listener, options);
  watch.start();
  return watch;
}

class Watch implements EventWatch {
  readonly totals = { oom: 0, 'memory-limit': 0, 'pids-limit': 0, throttled: 0 };
  readonly #paths: CgroupPaths;
  readonly #listener: (event: LimitEvent) => void;
  readonly #options: WatchOptions;
  /** What each file said last; empty before the first look. */
  #seen = new Map<string, Counters>();
  #earlier: Record<LimitEventType, number> | undefined;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(paths: CgroupPaths, listener: (event: LimitEvent) => void, options: WatchOptions) {
    this.#paths = paths;
    this.#listener = listener;
    this.#options = options;
    if (options.fromStart === true) this.#earlier = { ...this.totals };
  }

  start(): void {
    const { interval = 250 } = this.#options;
    this.#timer = setInterval(() => void this.check(), interval);
    this.#timer.unref();
    void this.check();
  }

  get earlier(): Readonly<Record<LimitEventType, number>> | undefined {
    return this.#earlier;
  }

  check(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#looking ??= this.#look()
      // Nothing can be read (EMFILE): the counters wait for the next look.
      .catch(() => {})
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const list = await eventFiles(this.#paths);
    const texts = await Promise.all(list.map(readOptional));
    if (this.#closed) return;
    const now = new Map(list.map((path, i) => [path, parseCounters(path, texts[i] ?? '')]));
    const before = this.#seen;
    this.#seen = now;
    const count = (type: LimitEventType) => added(now, before, keys[type]);
    if (this.#earlier === undefined) {
      const counts = types.map((type) => [type, count(type)]);
      this.#earlier = Object.fromEntries(counts) as Record<LimitEventType, number>;
      return;
    }
    for (const type of types) this.#tell(type, count(type));
  }

  #tell(type: LimitEventType, count: number): void {
    if (count === 0 || this.#closed) return;
    this.totals[type] += count;
    this.#listener({ type, count });
  }
}

/** What all files together count more than before; a program's cgroup that is new began at 0. */
function added(
  now: ReadonlyMap<string, Counters>,
  before: ReadonlyMap<string, Counters>,
  names: readonly (keyof Counters)[],
): number {
  let count = 0;
  for (const [path, counters] of now) {
    for (const name of names) {
      count += Math.max(0, (counters[name] ?? 0) - (before.get(path)?.[name] ?? 0));
    }
  }
  return count;
}

/** The files to look at; of v1 those of each program, too, since it does not add them up. */
async function eventFiles({ unified, v1 }: CgroupPaths): Promise<string[]> {
  const list: string[] = [];
  if (v1.memory !== undefined) {
    for (const dir of await withChildren(v1.memory)) {
      list.push(...localMemoryFiles.map((file) => join(dir, file)));
    }
  } else if (unified !== undefined) list.push(join(unified, 'memory.events'));
  const pids = v1.pids ?? unified;
  if (pids !== undefined) {
    const alone = v1.pids !== undefined || !(await addsUpPids(pids));
    const dirs = alone ? await withChildren(pids) : [pids];
    list.push(...dirs.map((dir) => join(dir, 'pids.events')));
  }
  const cpu = v1.cpu ?? unified;
  if (cpu !== undefined) list.push(join(cpu, 'cpu.stat'));
  return list;
}
