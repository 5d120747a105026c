import { isatty } from 'node:tty';
import type { Surroundings } from './options.js';

/**
 * Those of this process. process.stdin and process.stdout are left alone as long as the program
 * may get our streams: to look at them makes them non-blocking.
 */
export function surroundings(): Surroundings {
  return {
    term: process.env.TERM,
    stdinIsTerminal: isatty(0),
    window() {
      if (!isatty(1)) return undefined;
      const { columns: cols, rows } = process.stdout;
      // A terminal that was never told its size has none.
      return cols > 0 && rows > 0 ? { cols, rows } : undefined;
    },
  };
}
