import { Command, InvalidArgumentError } from 'commander';
import { Container, type ContainerSummary } from '../index.js';
import { action, repeated, stateWord, withFormat } from './containers.js';
import { UsageError } from './errors.js';
import { codeOfResult } from './exitCode.js';
import { jsonLine, print } from './output.js';
import { formatCommand, formatSpan, formatTable, formatTime, shorten } from './units.js';

/** docker's width of a command in a table. */
const commandWidth = 20;

/** Whether one of a container's facts is as a `--filter` has it. */
export type Filter = (container: ContainerSummary) => boolean;

const filters: Readonly<Record<string, (value: string) => Filter>> = {
  label(value) {
    const [name = '', ...rest] = value.split('=');
    const wanted = rest.length === 0 ? undefined : rest.join('=');
    return ({ labels }) =>
      Object.hasOwn(labels, name) && (wanted === undefined || labels[name] === wanted);
  },
  status: (value) => (container) => stateWord(container) === value || container.state === value,
  id: (value) => (container) => container.id.startsWith(value),
  name: (value) => (container) => container.id.includes(value),
};

/**
 * A `--filter`: `label=name`, `label=name=value`, `status=…`, `id=…` or `name=…`.
 * @throws InvalidArgumentError for any other
 */
export function parseFilter(text: string): { key: string; matches: Filter } {
  const [, key = '', value = ''] = /^(\w+)=(.+)$/s.exec(text) ?? [];
  const make = Object.hasOwn(filters, key) ? filters[key] : undefined;
  if (make === undefined)
    throw new InvalidArgumentError(
      "Expected 'label=name', 'label=name=value', 'status=…', 'id=…' or 'name=…'.",
    );
  return { key, matches: make(value) };
}

/** Several filters as docker has them: each key must match, labels all, others in one value. */
export function matchesAll(parsed: readonly { key: string; matches: Filter }[]): Filter {
  return (container) =>
    parsed.every(
      ({ key, matches }) =>
        matches(container) ||
        (key !== 'label' && parsed.some((other) => other.key === key && other.matches(container))),
    );
}

/** `Up 5 minutes (Paused)`, `Exited (137) 2 hours ago (oom)`. */
export function statusOf(container: ContainerSummary, now: number): string {
  const { state, exit, endedAt, createdAt, error } = container;
  if (error !== undefined) return 'Damaged';
  if (exit === undefined) {
    const paused = state === 'paused' ? ' (Paused)' : '';
    return `Up ${formatSpan(now - createdAt)}${paused}`;
  }
  const code = codeOfResult({ ...exit, failed: exit.exitCode !== 0 });
  const when = endedAt === undefined ? '' : ` ${formatSpan(now - endedAt)} ago`;
  const why = exit.reason === 'exit' || exit.reason === 'signal' ? '' : ` (${exit.reason})`;
  return `Exited (${code})${when}${why}`;
}

function quoted({ command = [] }: ContainerSummary, full: boolean): string {
  if (command.length === 0) return '""';
  const text = formatCommand(command);
  return `"${full ? text : shorten(text, commandWidth)}"`;
}

function labelsOf({ labels }: ContainerSummary): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

function ago(container: ContainerSummary, now: number): string {
  return container.error === undefined ? `${formatSpan(now - container.createdAt)} ago` : '';
}

/** One container with docker's names of the fields. */
function plain(container: ContainerSummary, now: number): Record<string, string> {
  const { id, createdAt, error } = container;
  return {
    ID: id,
    Names: id,
    Command: quoted(container, true),
    CreatedAt: error === undefined ? formatTime(createdAt) : '',
    RunningFor: ago(container, now),
    State: stateWord(container),
    Status: statusOf(container, now),
    Labels: labelsOf(container),
  };
}

/** What `ps` prints of containers. */
export function formatList(
  containers: readonly ContainerSummary[],
  { now, full = false }: { now: number; full?: boolean },
): string {
  const rows = containers.map((each) => [
    each.id,
    quoted(each, full),
    ago(each, now),
    statusOf(each, now),
  ]);
  return formatTable(['CONTAINER ID', 'COMMAND', 'CREATED', 'STATUS'], rows);
}

interface PsOptions {
  all?: true;
  quiet?: true;
  filter?: string[];
  trunc: boolean;
  format: string;
}

async function ps({ all, quiet, filter = [], trunc, format }: PsOptions): Promise<undefined> {
  if (quiet === true && format === 'json') throw new UsageError('--quiet: not beside --format');
  const parsed = filter.map(parseFilter);
  // As docker: who asks for a state means those that are in it.
  const ended = all === true || parsed.some(({ key }) => key === 'status');
  const found = await Container.list({ all: ended });
  const shown = found.filter(matchesAll(parsed)).reverse();
  const now = Date.now();
  if (quiet === true) await print(shown.map(({ id }) => `${id}\n`).join(''));
  else if (format === 'json') await print(shown.map((each) => jsonLine(plain(each, now))).join(''));
  else await print(formatList(shown, { now, full: !trunc }));
}

/** `ringfort ps`. */
export function psCommand(): Command {
  const command = new Command('ps')
    .description('List detached containers, the newest first')
    .option('-a, --all', 'those that have ended, too')
    .option('-q, --quiet', 'ids alone')
    .option(
      '-f, --filter <key=value>',
      "only those with 'label=name[=value]', 'status=running|paused|exited', 'id=…', 'name=…'",
      (text: string, before: string[] | undefined) => {
        parseFilter(text);
        return repeated(text, before);
      },
    )
    .option('--no-trunc', 'commands in full');
  return withFormat(command, 'table').action(action(ps));
}
