import { type FSWatcher, watch } from 'node:fs';
import { throwIfAborted } from '../abort.js';
import { invalid } from '../errors.js';
import { leavable } from '../leavable.js';
import { type LogFile, type LogPlace, type LogRecord, openAfter } from './logFile.js';

/** A piece of what a detached container's command has printed, as it was read from it. */
export interface LogEntry {
  /** When it was read, ms since the epoch, with fractions. */
  time: number;
  kind: 'stdout' | 'stderr';
  data: Buffer;
  /** Bytes of output that could not be kept just before this (a full disk); absent for none. */
  lost?: number;
}

/** What of a log is read. */
export interface LogOptions {
  /** Read on as it is written, until the container ends. Default `false`. */
  follow?: boolean | undefined;
  /** Nothing from before: ms since the epoch, or a date. */
  since?: number | Date | undefined;
  /** Of what is there already, the last so many lines of both streams together. Default: all. */
  tail?: number | undefined;
  /** Default `true`. */
  stdout?: boolean | undefined;
  /** Default `true`. With a terminal everything is stdout. */
  stderr?: boolean | undefined;
  /** Ends the iteration with an AbortError. */
  signal?: AbortSignal | undefined;
}

/** Where a log is, and whether anything will still be written. */
export interface LogSource extends LogPlace {
  ended(): boolean;
}

/** ms after which a log is looked at again when nothing says that it has changed. */
const pollMs = 100;

/** Wakes when something in a directory changes. */
class Changes {
  readonly #watcher: FSWatcher | undefined;
  #changed = false;
  #wake = () => {};

  constructor(dir: string) {
    try {
      this.#watcher = watch(dir, () => this.#now());
      // Removed, or the kernel has no watch left for us: then the clock is all there is.
      this.#watcher.on('error', () => {});
    } catch {
      this.#watcher = undefined;
    }
  }

  #now(): void {
    this.#changed = true;
    this.#wake();
  }

  async next(signal: AbortSignal): Promise<void> {
    const wake = () => this.#now();
    const timer = setTimeout(wake, pollMs);
    signal.addEventListener('abort', wake, { once: true });
    if (!this.#changed && !signal.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#changed = false;
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
  }

  close(): void {
    this.#watcher?.close();
  }
}

/** Reads a log through its files, from one to the next. */
class LogCursor {
  readonly #place: LogPlace;
  #file: LogFile | undefined;

  constructor(place: LogPlace, from: LogFile | undefined) {
    this.#place = place;
    this.#file = from;
  }

  /** The next records; none at the end of what is there. */
  async read(): Promise<LogRecord[]> {
    for (;;) {
      const records = (await this.#file?.read()) ?? [];
      if (records.length > 0) return records;
      const next = await openAfter(this.#place, this.#file?.sequence ?? 0);
      if (next === undefined) return records;
      // Nothing is written to a file once there is a newer one: what was is read before that.
      const rest = (await this.#file?.read()) ?? [];
      if (rest.length > 0) {
        await next.close();
        return rest;
      }
      await this.#file?.close();
      this.#file = next;
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }
}

/** Picks what is wanted, and adds to each piece what was lost before it. */
class Picker {
  readonly #since: bigint;
  readonly #streams: ReadonlySet<number>;
  #lost = 0;

  constructor({ since, stdout = true, stderr = true }: LogOptions) {
    this.#since = since === undefined ? 0n : BigInt(Math.floor(Number(since) * 1e6));
    this.#streams = new Set([...(stdout ? [1] : []), ...(stderr ? [2] : [])]);
  }

  pick({ time, stream, data }: LogRecord): LogEntry | undefined {
    if (stream === 0 && data.length === 8) this.#lost += Number(data.readBigUInt64LE());
    if (time < this.#since || !this.#streams.has(stream)) return undefined;
    const lost = this.#lost > 0 ? { lost: this.#lost } : {};
    this.#lost = 0;
    const kind = stream === 1 ? 'stdout' : 'stderr';
    return { time: Number(time) / 1e6, kind, data, ...lost };
  }
}

const newline = 0x0a;

function countLines(data: Buffer): number {
  let count = 0;
  for (let at = data.indexOf(newline); at >= 0; at = data.indexOf(newline, at + 1)) count++;
  return count;
}

/** Keeps the last lines of what it is given. */
class Tail {
  readonly #wanted: number;
  #entries: { entry: LogEntry; lines: number }[] = [];
  #lines = 0;

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  add(entry: LogEntry): void {
    const lines = countLines(entry.data);
    this.#entries.push({ entry, lines });
    this.#lines += lines;
    // One more than wanted: the piece may begin within a line.
    while (this.#lines - (this.#entries[0]?.lines ?? 0) > this.#wanted) {
      this.#lines -= this.#entries.shift()?.lines ?? 0;
    }
  }

  take(): LogEntry[] {
    const last = this.#entries.at(-1)?.entry.data.at(-1);
    // What follows the last newline is a line, too.
    let surplus = this.#lines + (last === undefined || last === newline ? 0 : 1) - this.#wanted;
    const taken: LogEntry[] = [];
    for (const { entry } of this.#entries) {
      let { data } = entry;
      for (; surplus > 0 && data.length > 0; surplus--) {
        const end = data.indexOf(newline);
        if (end < 0) break;
        data = data.subarray(end + 1);
      }
      const within = surplus > 0;
      if (data.length > 0 && !within) taken.push({ ...entry, data });
    }
    return this.#wanted === 0 ? [] : taken;
  }
}

function checkOptions({ since, tail }: LogOptions): void {
  if (tail !== undefined && !(Number.isSafeInteger(tail) && tail >= 0))
    throw invalid('tail', 'a number of lines', tail);
  if (since !== undefined && !Number.isFinite(Number(since)))
    throw invalid('since', 'ms since the epoch, or a date', since);
}

/** The last lines of what is there already, so many as are asked for. */
async function* past(cursor: LogCursor, picker: Picker, options: LogOptions) {
  const tail = options.tail === undefined ? undefined : new Tail(options.tail);
  for (let records = await cursor.read(); records.length > 0; records = await cursor.read()) {
    throwIfAborted(options.signal);
    for (const record of records) {
      const entry = picker.pick(record);
      if (entry === undefined) continue;
      if (tail === undefined) yield entry;
      else tail.add(entry);
    }
  }
  if (tail !== undefined) yield* tail.take();
}

async function* read(
  source: LogSource,
  options: LogOptions & { signal: AbortSignal },
  from: LogFile | undefined,
) {
  const { signal, follow = false } = options;
  const cursor = new LogCursor(source, from);
  const picker = new Picker(options);
  const changes = follow ? new Changes(source.dir) : undefined;
  try {
    // Asked first: what is written before the end is there then.
    let ended = source.ended();
    yield* past(cursor, picker, options);
    while (changes !== undefined && !ended) {
      await changes.next(signal);
      throwIfAborted(signal);
      ended = source.ended();
      const { tail: _tail, ...rest } = options;
      yield* past(cursor, picker, rest);
    }
  } finally {
    changes?.close();
    await cursor.close();
  }
}

/**
 * The log of a detached container, from its oldest piece that is kept. It survives rotation; a
 * reader that is slower than the log is turned over misses what was removed meanwhile.
 * @param from a place to begin at
 * @throws InvalidSpecError `ERR_INVALID_OPTION`
 */
export function readLogs(
  source: LogSource,
  options: LogOptions = {},
  from?: LogFile,
): AsyncGenerator<LogEntry, void, undefined> {
  checkOptions(options);
  return leavable(options.signal, (signal) => read(source, { ...options, signal }, from));
}
