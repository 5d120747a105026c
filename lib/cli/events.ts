import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { Container, type ContainerEvent, type ContainerState } from '../index.js';
import { action, resolveId, withFormat } from './containers.js';
import { jsonLine, print } from './output.js';
import { formatTime, printable } from './units.js';

/** ms between two looks at which containers there are, and which of them are paused. */
const lookMs = 250;

/** An event on one line: when, of which container, what, and the facts. */
export function formatEvent(event: ContainerEvent): string {
  const { type, time, id, ...facts } = event;
  const shown = Object.entries(facts)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => {
      const text = Array.isArray(value) ? value.join(' ') : String(value);
      return ` ${name}=${/[\s"]/.test(text) ? JSON.stringify(text) : printable(text)}`;
    });
  return `${formatTime(time)} ${id} ${type}${shown.join('')}\n`;
}

/** A `--filter`: `event=…` or `container=…`. */
export function parseEventFilter(text: string): { key: 'event' | 'container'; value: string } {
  const [, key, value = ''] = /^(event|container)=(.+)$/s.exec(text) ?? [];
  if (key === undefined) throw new InvalidArgumentError("Expected 'event=…' or 'container=…'.");
  return { key: key as 'event' | 'container', value };
}

/** Follows containers, those that are named or all, and tells what happens to them. */
class Watch {
  readonly #tell: (event: ContainerEvent) => void;
  /** By id and time of creation: an id may be used again. */
  readonly #states = new Map<string, ContainerState>();
  readonly #followed = new Map<string, Promise<void>>();

  constructor(tell: (event: ContainerEvent) => void) {
    this.#tell = tell;
  }

  /** How many are followed that have not ended. */
  get size(): number {
    return this.#followed.size;
  }

  async #follow(id: string): Promise<void> {
    const box = await Container.open(id);
    try {
      for await (const event of box.events()) this.#tell(event);
    } finally {
      await box[Symbol.asyncDispose]();
    }
  }

  /**
   * Looks for those that have come, and for what other processes have done to those that run.
   * @param wanted undefined for all
   * @param first what is there already is no event
   */
  async look(wanted: ReadonlySet<string> | undefined, first: boolean): Promise<void> {
    const found = (await Container.list()).filter(
      ({ id, error }) => error === undefined && wanted?.has(id) !== false,
    );
    const keys = new Set(found.map(({ id, createdAt }) => `${id} ${createdAt}`));
    for (const key of this.#states.keys()) if (!keys.has(key)) this.#states.delete(key);
    for (const { id, state, createdAt, pid } of found) {
      const key = `${id} ${createdAt}`;
      const before = this.#states.get(key);
      this.#states.set(key, state);
      if (before === undefined && !first)
        this.#tell({ type: 'started', time: createdAt, id, pid: pid ?? 0 });
      const changed = before === undefined ? state === 'paused' && !first : before !== state;
      if (changed)
        this.#tell({ type: state === 'paused' ? 'paused' : 'resumed', time: Date.now(), id });
      if (before === undefined) this.#add(id);
    }
  }

  #add(id: string): void {
    const followed = this.#follow(id)
      // It has gone before it could be followed.
      .catch(() => {})
      .finally(() => this.#followed.delete(id));
    this.#followed.set(id, followed);
  }
}

interface EventsOptions {
  filter?: ReturnType<typeof parseEventFilter>[];
  format: string;
}

async function events(words: string[], { filter = [], format }: EventsOptions): Promise<undefined> {
  const types = filter.flatMap(({ key, value }) => (key === 'event' ? [value] : []));
  const named = [
    ...words,
    ...filter.flatMap(({ key, value }) => (key === 'container' ? [value] : [])),
  ];
  const ids = new Set<string>();
  for (const word of named) {
    const id = await resolveId(word);
    // Says so where there is none.
    await (await Container.open(id))[Symbol.asyncDispose]();
    ids.add(id);
  }
  const watch = new Watch((event) => {
    if (types.length > 0 && !types.includes(event.type)) return;
    void print(format === 'json' ? jsonLine(event) : formatEvent(event));
  });
  const wanted = named.length === 0 ? undefined : ids;
  await watch.look(wanted, true);
  while (wanted === undefined || watch.size > 0) {
    await sleep(lookMs);
    await watch.look(wanted, false);
  }
}

/** `ringfort events`. */
export function eventsCommand(): Command {
  const command = new Command('events')
    .summary('Tell what happens to containers from now on, a line each')
    .description(
      'Tell what happens to containers from now on, a line each, until those that are named have ' +
        'ended; what other processes exec and update in them is not seen',
    )
    .argument('[container...]', 'ids, or beginnings of ids (default: all)')
    .option(
      '-f, --filter <key=value>',
      "only 'event=…' or 'container=…'",
      (text: string, before: ReturnType<typeof parseEventFilter>[] | undefined) => [
        ...(before ?? []),
        parseEventFilter(text),
      ],
    );
  return withFormat(command, 'text').action(action(events));
}
