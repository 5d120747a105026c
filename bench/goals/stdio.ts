import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { type Container, createContainer } from '../../lib/index.js';
import { compare, type Effort, type Part, type Section } from '../goal.js';
import { interleave, type Measurements, timed } from '../rounds.js';

/** What both kinds of processes have. */
interface Piped {
  stdin: Writable;
  stdout: Readable;
  once(event: 'close', listener: () => void): unknown;
}

/** How a program is started. */
type Start = (file: string, args: string[]) => Piped;

/** MiB a second of what a program prints. */
async function rate(start: Start, bytes: number): Promise<number> {
  let got = 0;
  const ms = await timed(async () => {
    const child = start('/usr/bin/head', ['-c', String(bytes), '/dev/zero']);
    child.stdout.on('data', (chunk: Buffer) => {
      got += chunk.length;
    });
    child.stdin.end();
    await once(child as never, 'close');
  });
  if (got !== bytes) throw new Error(`${got} of ${bytes} bytes came`);
  return bytes / 2 ** 20 / (ms / 1000);
}

/** A program that answers each line with itself. */
class Echo {
  readonly #child: Piped;
  constructor(start: Start) {
    this.#child = start('/usr/bin/cat', []);
  }

  /** ms of one message there and back. */
  async ask(): Promise<number> {
    return timed(async () => {
      const answer = once(this.#child.stdout, 'data');
      this.#child.stdin.write('{"id":1,"method":"ping"}\n');
      await answer;
    });
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    await once(this.#child as never, 'close');
  }
}

const starts = (container: Container): Record<string, Start> => ({
  child_process: (file, args) => spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] }),
  ringfort: (file, args) => container.spawn(file, args) as Piped,
});

async function messages(by: Record<string, Start>, count: number): Promise<Measurements> {
  const echoes = Object.entries(by).map(([name, start]) => ({ name, echo: new Echo(start) }));
  const rows = echoes.map(({ name, echo }) => ({ name, run: () => echo.ask() }));
  const measured = await interleave(rows, { rounds: count, warmUps: 100 });
  for (const { echo } of echoes) await echo.end();
  return measured;
}

async function measure({ scale }: Effort): Promise<Section[]> {
  await using container = await createContainer();
  const by = starts(container);
  const bytes = scale < 1 ? 2 ** 27 : 2 ** 30;
  const rows = Object.entries(by).map(([name, start]) => ({ name, run: () => rate(start, bytes) }));
  const bulk = await interleave(rows, { rounds: Math.ceil(8 * scale), warmUps: 1 });
  const small = await messages(by, Math.ceil(10_000 * scale));
  return [
    {
      title: `${bytes / 2 ** 20} MiB of stdout through a pipe`,
      unit: 'MiB/s',
      rows: bulk,
      checks: [compare(bulk, ['P8', 'ringfort', 'child_process'], { least: 1 })],
    },
    {
      title: 'Small messages to a program and back',
      unit: 'ms',
      rows: small,
      checks: [
        {
          ...compare(small, ['P8', 'ringfort', 'child_process'], {}),
          what: 'small messages, latency',
        },
      ],
    },
  ];
}

/** P8. */
export const stdio: Part = { names: ['P8', 'stdio'], measure };
