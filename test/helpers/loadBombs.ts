import { setTimeout as sleep } from 'node:timers/promises';
import { type Container, type ContainerStats, createContainer } from '../../lib/index.js';

/** Something that a hostile program does, and how to see that it does. */
export interface Bomb {
  script: string;
  /** Whether it has reached what holds it. */
  burns(box: Container, read: () => number): Promise<boolean>;
}

/** More memory than the 64 MiB of /tmp, which is to be full first. */
const limits = { memory: '128MiB', pids: 100 } as const;

async function stats(box: Container): Promise<ContainerStats> {
  for await (const found of box.stats()) return found;
  throw new Error(`${box.id} has ended`);
}

/** At the pids limit. */
async function pidsFull(box: Container): Promise<boolean> {
  const { pids } = await stats(box);
  return Math.max(pids.current ?? 0, pids.peak ?? 0) >= limits.pids;
}

async function used(box: Container, column: string): Promise<boolean> {
  const { stdout } = await box.exec('df', [`--output=${column}`, '/tmp']);
  return /\b(100|99|98)%/.test(stdout);
}

/** All kinds, by name. Each goes on for as long as it is let. */
export const bombs: Readonly<Record<string, Bomb>> = {
  fork: {
    // A shell would give up when it cannot fork.
    script: `exec perl -e 'fork while 1'`,
    burns: pidsFull,
  },
  memory: {
    // Its own cgroup dies of it, again and again.
    script: 'while :; do tail /dev/zero; done 2>/dev/null',
    burns: async (box) => ((await stats(box)).memory.peakBytes ?? 0) > 120 << 20,
  },
  tmpfs: {
    script: 'while :; do cat /dev/zero >> /tmp/full || sleep 0.05; done 2>/dev/null',
    burns: (box) => used(box, 'pcent'),
  },
  inodes: {
    script: 'i=0; while :; do : > /tmp/$i || sleep 0.05; i=$((i+1)); done 2>/dev/null',
    burns: (box) => used(box, 'ipcent'),
  },
  flood: {
    script: 'yes "$1" & yes "$1" >&2',
    // More than the pipe and the stream hold: it is read, and slowly.
    burns: async (_, read) => read() > 256 << 10,
  },
  zombies: {
    // Children that nobody waits for, and orphans, which are the init's to reap.
    script: `exec perl -e 'while (1) { my $p = fork; if (defined $p && !$p) { fork; exit } }'`,
    burns: pidsFull,
  },
};

/** A container with a bomb in it. */
export class Bombed {
  readonly kind: string;
  readonly #box: Container;
  readonly #line: string;
  #read = 0;
  /** Whether its output was something else than its own. */
  mixed = false;

  private constructor(kind: string, box: Container) {
    this.kind = kind;
    this.#box = box;
    this.#line = `${box.id} ${kind}`;
  }

  /** @param cpus that its container may use; default: all */
  static async light(kind: string, cpus?: number): Promise<Bombed> {
    const own = { ...limits, ...(cpus !== undefined && { cpus }) };
    const bombed = new Bombed(kind, await createContainer({ limits: own }));
    const script = bombs[kind]?.script ?? '';
    const program = bombed.#box.spawn('sh', ['-c', script, 'sh', bombed.#line]);
    program.on('error', () => {});
    program.stdin?.on('error', () => {});
    for (const stream of [program.stdout, program.stderr]) if (stream) void bombed.#trickle(stream);
    return bombed;
  }

  /** Reads at most 64 KiB every 50 ms. */
  async #trickle(stream: NodeJS.ReadableStream): Promise<void> {
    const expected = Buffer.from(`${this.#line}\n`.repeat(10_000));
    let at = 0;
    try {
      for await (const chunk of stream) {
        const bytes = chunk as Buffer;
        const from = at % (this.#line.length + 1);
        if (!expected.subarray(from, from + bytes.length).equals(bytes)) this.mixed = true;
        at += bytes.length;
        this.#read += bytes.length;
        await sleep(50);
      }
    } catch {
      // Cut off with its container.
    }
  }

  /** Waits, at most 3 min, until it has reached what holds it. */
  async burns(): Promise<boolean> {
    for (let looks = 0; looks < 900; looks++) {
      try {
        if (await bombs[this.kind]?.burns(this.#box, () => this.#read)) return true;
      } catch {
        // No process is left for whoever looks.
      }
      await sleep(200);
    }
    return false;
  }

  /** Ends the container. @returns ms until nothing of it was left */
  async end(): Promise<number> {
    const since = performance.now();
    await this.#box[Symbol.asyncDispose]();
    return performance.now() - since;
  }
}
