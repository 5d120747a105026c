import type { Check, Section } from './goal.js';
import { summarize } from './statistics.js';

function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const places = value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 4;
  return value.toFixed(places);
}

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const all = [head, head.map(() => '---'), ...lines];
  return all.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function foundText({ found, absent = 'absent' }: Check): string {
  if (found === undefined) return absent;
  if ('unit' in found) return `${digits(found.value)} ${found.unit}`;
  return `${digits(found.value)} × (${digits(found.low)}–${digits(found.high)})`;
}

function boundText({ most, least, found }: Check): string {
  const unit = found !== undefined && 'unit' in found ? found.unit : '×';
  if (most !== undefined) return `≤ ${most} ${unit}`;
  return least === undefined ? '' : `≥ ${least} ${unit}`;
}

function verdict({ found, most, least }: Check): string {
  if (found === undefined || (most === undefined && least === undefined)) return '';
  const met = most === undefined ? found.value >= (least ?? 0) : found.value <= most;
  return met ? 'met' : '**missed**';
}

/** The goals, each with what was found; in brackets the quartiles of the single rounds. */
export function goalTable(checks: readonly Check[]): string {
  const place = ({ goal }: Check) => Number(goal.slice(1)) || 0;
  const sorted = [...checks].sort((a, b) => place(a) - place(b));
  const lines = sorted.map((check) => [
    check.goal,
    check.what,
    foundText(check),
    boundText(check),
    verdict(check),
  ]);
  return table(['#', 'what', 'found', 'goal', ''], lines);
}

/** One measurement, row by row. */
export function sectionTable(section: Section): string {
  if (section.text !== undefined) return section.text;
  const { title, unit, rows, absent = [], notes = [] } = section;
  const lines = [...rows].map(([name, values]) => {
    const { n, min, p50, p90 } = summarize(values);
    return [name, String(n), digits(min), digits(p50), digits(p90)];
  });
  const text = [`### ${title}`, table([unit, 'n', 'min', 'p50', 'p90'], lines)];
  if (absent.length > 0) text.push(`Absent: ${absent.join('; ')}.`);
  return [...text, ...notes].join('\n\n');
}

/** Everything, as Markdown. */
export function report(machine: string, sections: readonly Section[]): string {
  const checks = sections.flatMap((section) => section.checks);
  const parts = [machine];
  if (checks.length > 0) parts.push(goalTable(checks));
  return `${[...parts, ...sections.map(sectionTable)].join('\n\n')}\n`;
}
