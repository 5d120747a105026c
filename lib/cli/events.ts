import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { Container, type ContainerEvent } from '../index.js';
import { action, resolveId, withFormat } from './containers.js';
import { EventWatch } from './eventWatch.js';
import { jsonLine, print } from './output.js';
import { formatTime, printable } from './units.js';

/** ms between two looks at which containers there are, and which of them are paused. */
const lookMs = 250;

/** An event on one line: when, of which container, what, and the facts. */
export function formatEvent(event: ContainerEvent): string {
  const { type, time, id, ...facts } = event;
  const shown = Object.entries(facts)
    // A pid of 0 is of one that had ended before anybody looked.
    .filter(([name, value]) => value !== null && !(name === 'pid' && value === 0))
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
  const wanted = named.length === 0 ? undefined : ids;
  const watch = new EventWatch((event) => {
    if (types.length > 0 && !types.includes(event.type)) return;
    void print(format === 'json' ? jsonLine(event) : formatEvent(event));
  }, wanted);
  await watch.look();
  while (wanted === undefined || watch.size > 0) {
    await sleep(lookMs);
    await watch.look();
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
