import type { Check, Waiting } from './check.js';
import type { Row } from './runner.js';

/** The rows of one pass: as root, as an ordinary user, nested. */
export interface Pass {
  name: string;
  rows: readonly Row[];
}

/** One line of the printed table. */
export function line({ id, result, oracle, ms, why, without }: Row): string {
  const cells = [id.padEnd(14), result.padEnd(6), oracle.padEnd(9), String(ms).padStart(6)];
  const more = why ?? (without === undefined ? '' : `without ${without}`);
  return `${cells.join(' ')}  ${more}`.trimEnd();
}

export const heading = `${'item'.padEnd(14)} ${'result'.padEnd(6)} ${'oracle'.padEnd(9)} ${'ms'.padStart(6)}`;

const marks = {
  begin: '<!-- corpus: npm run test:escape -- --write -->',
  end: '<!-- end of corpus -->',
};

/** What is the same on every machine: the first four cells of a row. */
export function fixedCells({ id, attack, walls, oracle }: Check): string {
  return `| ${id} | ${attack} | ${walls} | ${'none' in oracle ? '–' : oracle.what} |`;
}

/** One that waits. */
export function waitingCells({ id, attack, waitsFor }: Waiting): string {
  return `| ${id} | ${attack} | ${waitsFor} |`;
}

function cell(row: Row | undefined): string {
  if (row === undefined || row.result === '–') return '–';
  if (row.result === 'RED') return '**RED**';
  return row.oracle === 'red' ? 'held' : 'held, no oracle';
}

/** Why something has no oracle or cannot run somewhere, without what is of one machine only. */
function reasons(passes: readonly Pass[]): string[] {
  const places = new Map<string, string[]>();
  for (const reason of new Set(passes.flatMap(({ rows }) => rows.flatMap(reasonOf)))) {
    for (const { name, rows } of passes) {
      const ids = rows.filter((row) => reasonOf(row).includes(reason)).map(({ id }) => id);
      if (ids.length === 0) continue;
      const key = `| ${reason} | ${ids.join(', ')} |`;
      places.set(key, [...(places.get(key) ?? []), name]);
    }
  }
  return [...places].map(([key, names]) => `${key} ${names.join(', ')} |`);
}

function reasonOf({ why = '' }: Row): string[] {
  return why === '' ? [] : [why.replace(/ \([^()]*\)$/, '')];
}

/** The block of SECURITY.md between the two marks. */
export function corpusBlock(
  corpus: readonly Check[],
  waiting: readonly Waiting[],
  passes: readonly Pass[],
): string {
  const rows = corpus.map((check) => {
    const cells = passes.map(({ rows: all }) => cell(all.find(({ id }) => id === check.id)));
    return `${fixedCells(check)} ${cells.join(' | ')} |`;
  });
  const names = passes.map(({ name }) => name);
  return [
    marks.begin,
    '',
    `| item | attack | stopped by | oracle without | ${names.join(' | ')} |`,
    `|---|---|---|---|${names.map(() => '---|').join('')}`,
    ...rows,
    '',
    'Why there is no oracle, or why an item cannot run there (–):',
    '',
    '| why | items | where |',
    '|---|---|---|',
    ...reasons(passes),
    '',
    'Items that wait for something that ringfort has not got:',
    '',
    '| item | attack | waits for |',
    '|---|---|---|',
    ...waiting.map(waitingCells),
    '',
    marks.end,
  ].join('\n');
}

/** The text with another block in place of its own. */
export function withBlock(text: string, block: string): string {
  const [from, to] = [text.indexOf(marks.begin), text.indexOf(marks.end)];
  if (from < 0 || to < from) throw new Error('SECURITY.md has no block for the corpus');
  return text.slice(0, from) + block + text.slice(to + marks.end.length);
}
