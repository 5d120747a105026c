import type { Readable } from 'node:stream';

/** What was kept of one output stream. */
export interface Captured {
  data: Buffer;
  /** More came than was to be kept. */
  truncated: boolean;
  /** The stream came to its end. */
  ended: boolean;
}

/** Grows by doubling: one object however small the guest's writes are. */
class Collector {
  #buffer = Buffer.alloc(0);
  size = 0;

  constructor(readonly limit: number) {}

  /** Keeps what fits; false when something did not. */
  add(chunk: Buffer): boolean {
    const kept = Math.min(chunk.length, this.limit - this.size);
    if (this.size + kept > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(
        Math.min(this.limit, Math.max(this.size + kept, this.#buffer.length * 2, 4096)),
      );
      this.#buffer.copy(larger, 0, 0, this.size);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.size, 0, kept);
    this.size += kept;
    return kept === chunk.length;
  }

  get data(): Buffer {
    return this.#buffer.subarray(0, this.size);
  }
}

/**
 * Reads a stream to its end, keeping at most `limit` bytes; the rest is read and dropped, so that
 * a flood costs no memory and does not stop the guest. `onLimit` is called once.
 */
export function capture(
  stream: Readable | undefined,
  limit: number,
  onLimit: () => void,
): Promise<Captured> {
  const kept = new Collector(limit);
  let truncated = false;
  let ended = false;
  if (stream === undefined) return Promise.resolve({ data: kept.data, truncated, ended: true });
  stream.once('end', () => {
    ended = true;
  });
  stream.on('data', (chunk: Buffer) => {
    if (kept.add(chunk) || truncated) return;
    truncated = true;
    onLimit();
  });
  return new Promise((resolve) => {
    const finish = () => resolve({ data: kept.data, truncated, ended });
    // A reset of our own pipe is an end like any other: what was read stays.
    stream.once('error', finish);
    stream.once('close', finish);
  });
}
