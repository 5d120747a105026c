/** Shares of time in which tasks were held up for want of something: psi.rst. */
export interface Stall {
  /** Percent of the last 10, 60, 300 s. */
  avg10: number;
  avg60: number;
  avg300: number;
  /** All of it since the start, µs. */
  totalUs: number;
}

/** `some`: at least one task waited; `full`: all that were not idle did. */
export interface Pressure {
  some: Stall;
  /** Missing where the kernel does not say it. */
  full?: Stall;
}

const line = /^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)$/gm;

/** A `*.pressure` file; undefined when it says nothing. */
export function parsePressure(text: string): Pressure | undefined {
  const found: { some?: Stall; full?: Stall } = {};
  for (const [, kind, avg10, avg60, avg300, total] of text.matchAll(line)) {
    found[kind as 'some' | 'full'] = {
      avg10: Number(avg10),
      avg60: Number(avg60),
      avg300: Number(avg300),
      totalUs: Number(total),
    };
  }
  const { some, full } = found;
  return some && { some, ...(full && { full }) };
}
