import { shorten } from './units.js';

/** Moves the cursor up by so many lines, and clears what is below (ECMA-48). */
function back(lines: number): string {
  return `${lines > 0 ? `\x1b[${lines}A` : ''}\r\x1b[J`;
}

/**
 * The text that takes the place of one of `before` lines on a terminal: no line wraps and nothing
 * scrolls, so that the next one finds its way back.
 */
export function redraw(
  text: string,
  before: number,
  { rows, columns }: { rows: number; columns: number },
): { output: string; lines: number } {
  const all = text.trimEnd().split('\n');
  const lines = all.slice(0, Math.max(1, rows - 1)).map((line) => shorten(line, columns));
  return {
    output: `${back(before)}${lines.map((line) => `${line}\n`).join('')}`,
    lines: lines.length,
  };
}

/** Text on our terminal that is drawn again in its place. */
export class LiveText {
  #lines = 0;
  #last = '';

  constructor() {
    // What was drawn before has been wrapped anew: begin on a clean screen.
    process.stdout.on('resize', () => {
      process.stdout.write('\x1b[2J\x1b[H');
      this.#lines = 0;
      this.show(this.#last);
    });
  }

  show(text: string): void {
    const { rows, columns } = process.stdout;
    const size = rows > 0 && columns > 0 ? { rows, columns } : { rows: 24, columns: 80 };
    const { output, lines } = redraw(text, this.#lines, size);
    process.stdout.write(output);
    this.#lines = lines;
    this.#last = text;
  }
}
