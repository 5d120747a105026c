import type { Check, Waiting } from './check.js';
import type { Row } from './runner.js';

/** The rows of one pass: as root, as an ordinary user, nested. */
export interface Pass {
  name: string;
  rows: readonly Row[];
}

/** One line of the printed table. */
export function line({ id, result, oracle, ms, why }: Row): string {
  const cells = [id.padEnd(14), result.padEnd(6), oracle.padEnd(9), String(ms).padStart(6)];
  return `${cells.join(' ')}  ${why ?? ''}`.trimEnd();
}

export const heading = `${'item'.padEnd(14)} ${'result'.padEnd(6)} ${'oracle'.padEnd(9)} ${'ms'.padStart(6)}`;

const marks = {
  begin: '<!-- corpus: npm run test:escape -- --write -->',
  end: '<!-- end of corpus -->',
};

/** What is the same on every machine: the first three cells of a row. */
export function fixedCells({ id, attack, walls }: Check): string {
  return `| ${id} | ${attack} | ${walls} |`;
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
  const found = new Map<string, string[]>();
  for (const { name, rows } of passes) {
    for (const { id, why = '' } of rows) {
      const reason = why.replace(/ \(.*\)$/, '');
      if (reason === '') continue;
      const key = `| ${name} | ${reason} |`;
      found.set(key, [...(found.get(key) ?? []), id]);
    }
  }
  return [...found].map(([key, ids]) => `${key} ${ids.join(', ')} |`);
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
    `| item | attack | stopped by | ${names.join(' | ')} |`,
    `|---|---|---|${names.map(() => '---|').join('')}`,
    ...rows,
    '',
    'Why there is no oracle, or why an item cannot run there (–):',
    '',
    '| where | why | items |',
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
