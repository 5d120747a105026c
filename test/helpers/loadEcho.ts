import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, ContainerProcess } from '../../lib/index.js';

/** Every line comes back on stdout, and on stderr as well. */
const both = 'while IFS= read -r line; do printf "%s\\n" "$line"; printf "%s\\n" "$line" >&2; done';

/** What comes out of a stream, compared with what is to come, and hashed on the way. */
class Checked {
  readonly #expected: Buffer[] = [];
  readonly #in = createHash('sha256');
  readonly #out = createHash('sha256');
  #reached: (() => void) | undefined;
  bytes = 0;
  wrong = 0;

  expect(data: Buffer): void {
    this.#expected.push(data);
    this.#in.update(data);
  }

  take(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#out.update(chunk);
    let rest = chunk;
    while (rest.length > 0) {
      const next = this.#expected[0];
      if (next === undefined) {
        this.wrong++;
        return;
      }
      const size = Math.min(next.length, rest.length);
      if (!next.subarray(0, size).equals(rest.subarray(0, size))) this.wrong++;
      rest = rest.subarray(size);
      if (size === next.length) this.#expected.shift();
      else this.#expected[0] = next.subarray(size);
    }
    if (this.#expected.length === 0) this.#reached?.();
  }

  /** Resolves when nothing is owed. */
  settled(): Promise<void> {
    if (this.#expected.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }

  /** Bytes that have not come, come too often, or come from elsewhere, are the same thing: wrong. */
  get right(): boolean {
    return (
      this.wrong === 0 &&
      this.#expected.length === 0 &&
      this.#in.digest('hex') === this.#out.digest('hex')
    );
  }
}

/**
 * A program that sends back what it is sent. One in two is `cat`, with messages of up to 64 KiB;
 * the other a shell that says each line on both streams.
 */
export class Echo {
  readonly #name: string;
  readonly #process: ContainerProcess;
  readonly #lines: boolean;
  readonly #stdout = new Checked();
  readonly #stderr = new Checked();
  readonly #ended: Promise<[code: number | null, signal: string | null]>;
  #sequence = 0;

  constructor(box: Container, index: number) {
    this.#name = `${box.id}.${index}`;
    this.#lines = index % 2 === 1;
    this.#process = this.#lines ? box.spawn('sh', ['-c', both]) : box.spawn('cat', []);
    this.#process.stdout?.on('data', (chunk: Buffer) => this.#stdout.take(chunk));
    this.#process.stderr?.on('data', (chunk: Buffer) => this.#stderr.take(chunk));
    this.#ended = new Promise((resolve, reject) => {
      this.#process.on('error', reject);
      this.#process.on('close', (code, signal) => resolve([code, signal]));
    });
    this.#ended.catch(() => {});
  }

  /** Sends a message that nobody else sends. @returns ms until all of it was back */
  async ping(): Promise<number> {
    const large = !this.#lines && this.#sequence % 8 === 7;
    const filler = randomBytes(large ? 24 << 10 : 16).toString('hex');
    const message = Buffer.from(`${this.#name} ${this.#sequence++} ${filler}\n`);
    this.#stdout.expect(message);
    if (this.#lines) this.#stderr.expect(message);
    const since = performance.now();
    this.#process.stdin?.write(message);
    await Promise.race([this.#stdout.settled(), this.#ended]);
    return performance.now() - since;
  }

  /** Pings until the signal, with pauses. @returns the ms of each small one */
  async chat(signal: AbortSignal): Promise<number[]> {
    const times: number[] = [];
    await sleep(Math.random() * 500);
    while (!signal.aborted) {
      const large = !this.#lines && this.#sequence % 8 === 7;
      const ms = await this.ping();
      if (!large) times.push(ms);
      await sleep(250 + Math.random() * 500);
    }
    return times;
  }

  /** Ends the input. @returns bytes that have come back, or what is wrong */
  async finish(): Promise<number | string> {
    this.#process.stdin?.end();
    try {
      const [code, signal] = await this.#ended;
      if (code !== 0) return `${this.#name}: ended with ${code ?? signal}`;
    } catch (error) {
      return `${this.#name}: ${error}`;
    }
    if (!this.#stdout.right) return `${this.#name}: stdout is not what was sent`;
    if (!this.#stderr.right) return `${this.#name}: stderr is not what was sent`;
    return this.#stdout.bytes + this.#stderr.bytes;
  }
}
