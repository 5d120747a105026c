/** Numbers, times and words as docker's tables have them. All are pure. */

const steps: readonly [unit: string, seconds: number, from: number][] = [
  ['second', 1, 1],
  ['minute', 60, 60],
  ['hour', 3600, 3600],
  ['day', 86_400, 2 * 86_400],
  ['week', 7 * 86_400, 14 * 86_400],
  ['month', 30 * 86_400, 60 * 86_400],
  ['year', 365 * 86_400, 2 * 365 * 86_400],
];

/** A span as docker words it: `5 seconds`, `About a minute`, `3 hours`, `2 weeks`. */
export function formatSpan(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds >= 60 && seconds < 120) return 'About a minute';
  if (seconds >= 3600 && seconds < 5400) return 'About an hour';
  const [unit, length] = steps.findLast(([, , from]) => seconds >= from) ?? ['second', 1];
  const count = Math.floor(seconds / length);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

/** Three figures and a unit of 1024 (`1.5MiB`) or, with `decimal`, of 1000 (`1.5MB`). */
export function formatBytes(bytes: number, decimal = false): string {
  const base = decimal ? 1000 : 1024;
  const units = decimal
    ? ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
    : ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let at = 0;
  for (; value >= base && at < units.length - 1; at++) value /= base;
  // Four figures where 1024 has them, never an exponent.
  const figures = value >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
  return `${figures}${units[at]}`;
}

/** Hours may be more than 24: `0:00:07`, as ps(1) has CPU time. */
export function formatCpuTime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (number: number) => String(number).padStart(2, '0');
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/** ISO 8601 with microseconds; the fraction of a ms is kept. */
export function formatTime(ms: number): string {
  const micros = Math.floor((ms - Math.floor(ms)) * 1000);
  return new Date(Math.floor(ms)).toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`);
}

/**
 * A guest's own words, for a terminal: control characters, which might be commands to it, as
 * escapes, and the characters that reorder a line.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** An argv as one might type it. */
export function formatCommand(argv: readonly string[]): string {
  return argv.map(printable).join(' ');
}

/** Cut to a number of characters, the last of which says so. */
export function shorten(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

/** Rows below their headings, with docker's three spaces between columns. */
export function formatTable(headings: readonly string[], rows: readonly string[][]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) =>
    Math.max(...all.map((row) => [...(row[column] ?? '')].length)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length))
      .join('   ')
      .trimEnd();
  return all.map((row) => `${line(row)}\n`).join('');
}
