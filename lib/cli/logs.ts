import { Command, InvalidArgumentError } from 'commander';
import type { LogEntry } from '../index.js';
import { action, withContainer } from './containers.js';
import { print } from './output.js';
import { parseDuration } from './parse.js';
import { formatTime } from './units.js';

/** `--since`: an ISO date, seconds since the epoch, or how long ago (`90s`, `5m`). @returns ms */
export function parseSince(text: string, now = Date.now()): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (/^\d+(\.\d+)?(ms|s|m|h)$/.test(text)) return now - parseDuration(text);
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new InvalidArgumentError(
      "Expected a date such as '2026-01-31T12:00:00Z', seconds since the epoch, or '5m' ago.",
    );
  return time;
}

/** `--tail`: a number of lines, or `all`. */
export function parseTail(text: string): number | undefined {
  if (text === 'all' || text === '-1') return undefined;
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("Expected a number of lines, or 'all'.");
  return Number(text);
}

const newline = 0x0a;

/** Puts its time before each line. One for each stream: a line may come in pieces. */
export class Stamper {
  #within = false;

  stamp({ time, data }: Pick<LogEntry, 'time' | 'data'>): Buffer {
    const mark = Buffer.from(`${formatTime(time)} `);
    const parts: Buffer[] = [];
    for (let at = 0; at < data.length; ) {
      const end = data.indexOf(newline, at);
      const next = end < 0 ? data.length : end + 1;
      if (!this.#within) parts.push(mark);
      parts.push(data.subarray(at, next));
      this.#within = end < 0;
      at = next;
    }
    return Buffer.concat(parts);
  }
}

interface LogsOptions {
  follow?: true;
  since?: number;
  tail?: number;
  timestamps?: true;
}

function logs(word: string, options: LogsOptions): Promise<undefined> {
  const { follow = false, since, tail, timestamps = false } = options;
  const stampers = { stdout: new Stamper(), stderr: new Stamper() };
  return withContainer(word, async (box) => {
    const entries = box.logs({
      follow,
      ...(since !== undefined && { since }),
      ...(tail !== undefined && { tail }),
    });
    for await (const entry of entries) {
      const { kind, data, lost } = entry;
      if (lost !== undefined)
        await print(`ringfort: ${lost} bytes of output were lost here\n`, process.stderr);
      await print(timestamps ? stampers[kind].stamp(entry) : data, process[kind]);
    }
    return undefined;
  });
}

/** `ringfort logs`. */
export function logsCommand(): Command {
  return new Command('logs')
    .description('Print what the program of a container has printed')
    .argument('<container>', 'id, or beginning of an id')
    .option('-f, --follow', 'go on until the container ends')
    .option(
      '--since <time>',
      "a date, seconds since the epoch, or a time ago such as '5m'",
      (text) => parseSince(text),
    )
    .option('-n, --tail <lines>', 'the last lines alone (default: all)', parseTail)
    .option('-t, --timestamps', 'put its time before each line')
    .action(action(logs));
}
