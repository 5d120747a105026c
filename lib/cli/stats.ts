import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { Container, type ContainerStats } from '../index.js';
import { action, resolveId, withFormat } from './containers.js';
import { printError } from './errors.js';
import { failure } from './exitCode.js';
import { LiveText } from './liveText.js';
import { jsonLine, print } from './output.js';
import { formatBytes, formatTable } from './units.js';

/** ms between two looks. */
const intervalMs = 1000;

/** Two looks at a container, the later one last; the earlier gives the CPU time between them. */
export interface Looks {
  id: string;
  before?: ContainerStats | undefined;
  now?: ContainerStats | undefined;
}

const unknown = '--';

function cpuPercent({ before, now }: Looks): string {
  const used = (now?.cpu.usageMs ?? Number.NaN) - (before?.cpu.usageMs ?? Number.NaN);
  const passed = (now?.time ?? 0) - (before?.time ?? 0);
  // A clock that was set back shows no time that has passed.
  return Number.isNaN(used) || passed <= 0 ? unknown : `${((used / passed) * 100).toFixed(2)}%`;
}

const bytes = (count: number | undefined, decimal = false) =>
  count === undefined ? unknown : formatBytes(count, decimal);

/** One container's line with docker's names of the fields; `--` for what is not counted. */
export function statsLine(looks: Looks): Record<string, string> {
  const { memory, io, pids } = looks.now ?? {};
  const { currentBytes, limitBytes } = memory ?? {};
  const share = currentBytes === undefined || !limitBytes ? undefined : currentBytes / limitBytes;
  return {
    ID: looks.id,
    Name: looks.id,
    CPUPerc: cpuPercent(looks),
    MemUsage: `${bytes(currentBytes)} / ${bytes(limitBytes)}`,
    MemPerc: share === undefined ? unknown : `${(share * 100).toFixed(2)}%`,
    BlockIO: `${bytes(io?.readBytes, true)} / ${bytes(io?.writeBytes, true)}`,
    PIDs: pids?.current === undefined ? unknown : String(pids.current),
  };
}

/** What `stats` prints. */
export function formatStats(all: readonly Looks[], format: string): string {
  const lines = all.map(statsLine);
  if (format === 'json') return lines.map(jsonLine).join('');
  const keys = ['ID', 'CPUPerc', 'MemUsage', 'MemPerc', 'BlockIO', 'PIDs'];
  const headings = ['CONTAINER ID', 'CPU %', 'MEM USAGE / LIMIT', 'MEM %', 'BLOCK I/O', 'PIDS'];
  return formatTable(
    headings,
    lines.map((line) => keys.map((key) => line[key] ?? '')),
  );
}

/** A container that is looked at again and again. */
class Watched {
  readonly looks: Looks;
  readonly #box: Container;
  readonly #samples: AsyncGenerator<ContainerStats, void, undefined>;

  constructor(box: Container) {
    this.#box = box;
    this.looks = { id: box.id };
    // The clock is ours: each `next` is a look at once.
    this.#samples = box.stats({ interval: 1 });
  }

  /** @returns false when it has ended */
  async look(): Promise<boolean> {
    const { value } = await this.#samples.next();
    this.looks.before = this.looks.now;
    this.looks.now = value ?? undefined;
    return value !== undefined;
  }

  async close(): Promise<void> {
    await this.#samples.return();
    await this.#box[Symbol.asyncDispose]();
  }
}

/** Those that are watched: the ones that were named, or all that run. */
class Group {
  readonly #named: boolean;
  readonly #watched = new Map<string, Watched>();

  constructor(named: boolean) {
    this.#named = named;
  }

  async add(id: string): Promise<void> {
    if (!this.#watched.has(id)) this.#watched.set(id, new Watched(await Container.open(id)));
  }

  /** Those that have come meanwhile; what cannot be opened has gone already. */
  async #discover(): Promise<void> {
    for (const { id, error } of await Container.list())
      if (error === undefined) await this.add(id).catch(() => {});
  }

  /** @returns how many run */
  async look(): Promise<number> {
    if (!this.#named) await this.#discover();
    let running = 0;
    for (const [id, watched] of this.#watched) {
      if (await watched.look()) running++;
      else if (!this.#named) {
        this.#watched.delete(id);
        await watched.close();
      }
    }
    return running;
  }

  get looks(): Looks[] {
    return [...this.#watched.values()].map(({ looks }) => looks);
  }

  async close(): Promise<void> {
    for (const watched of this.#watched.values()) await watched.close();
  }
}

interface StatsOptions {
  stream: boolean;
  format: string;
}

async function show(group: Group, { stream, format }: StatsOptions, named: boolean) {
  const live = stream && format !== 'json' && process.stdout.isTTY ? new LiveText() : undefined;
  let running = await group.look();
  for (;;) {
    if (live !== undefined) live.show(formatStats(group.looks, format));
    if (named && stream && running === 0) break;
    await sleep(intervalMs);
    running = await group.look();
    if (live === undefined) await print(formatStats(group.looks, format));
    if (!stream) break;
  }
}

async function stats(words: string[], options: StatsOptions): Promise<number> {
  const named = words.length > 0;
  const group = new Group(named);
  let code = 0;
  try {
    for (const word of words) {
      try {
        await group.add(await resolveId(word));
      } catch (error) {
        printError(error);
        code = failure;
      }
    }
    if (code === 0) await show(group, options, named);
    return code;
  } finally {
    await group.close();
  }
}

/** `ringfort stats`. */
export function statsCommand(): Command {
  const command = new Command('stats')
    .description('Show what containers use, every second; by default all that run')
    .argument('[container...]', 'ids, or beginnings of ids')
    .option('--no-stream', 'once');
  return withFormat(command, 'table').action(action(stats));
}
