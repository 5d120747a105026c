import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Check } from './goal.js';

/** What `share` of the values do not exceed; NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The middle value, or between the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

/** Of ratios that were taken round by round: their median and the least and greatest. */
export function spread(ratios: readonly number[]): string {
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return `${fixed(median(ratios), 2)} × (${fixed(least, 2)}–${fixed(most, 2)})`;
}

/** A number with so many digits behind the point. */
export function fixed(value: number, digits = 1): string {
  return Number.isNaN(value) ? '–' : value.toFixed(digits);
}

/** Prints a section: a title and a Markdown table. */
export function print(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
) {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = line(head.map((_, i) => (i === 0 ? '---' : '---:')));
  console.log(`\n### ${title}\n\n${[line(head), rule, ...rows.map(line)].join('\n')}`);
}

/** A line of the table of goals, for `npm run bench`; nobody else sees it. */
export function check(found: Check): void {
  console.log(`${checkMark}${JSON.stringify(found)} -->`);
}

/** How such a line begins. */
export const checkMark = '<!-- check ';

/** Of ratios that were taken round by round, what a check has: their median and quartiles. */
export function ratio(ratios: readonly number[]): NonNullable<Check['found']> {
  return { value: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) };
}

/** What the figures were taken on, and how busy it was. */
export function machine(): string {
  const load = loadavg().map((each) => each.toFixed(1));
  return [
    new Date().toISOString().slice(0, 16).replace('T', ' '),
    `${cpus().length} × ${cpus()[0]?.model.trim()}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Linux ${release()}`,
    `Node ${process.version}`,
    `user ${process.getuid?.()}`,
    `load ${load.join(' ')}`,
  ].join(' · ');
}
