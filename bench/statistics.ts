/** What is said of one row's measurements; in their unit. */
export interface Summary {
  n: number;
  min: number;
  p50: number;
  p90: number;
  max: number;
}

/** The value below which the fraction `q` of sorted values lies, interpolated between neighbours. */
export function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);

/** Minimum, median, ninth decile and maximum; NaN of no values. */
export function summarize(values: readonly number[]): Summary {
  const sorted = ascending(values);
  const [min, p50, p90, max] = [0, 0.5, 0.9, 1].map((q) => quantile(sorted, q)) as [
    number,
    number,
    number,
    number,
  ];
  return { n: values.length, min, p50, p90, max };
}

/** How two rows compare. */
export interface Ratio {
  /** Of the medians. */
  value: number;
  /** Quartiles of the ratios of the single rounds: what noise makes of it. */
  low: number;
  high: number;
}

/** Compares two rows that were measured in the same rounds. */
export function ratioOf(a: readonly number[], b: readonly number[]): Ratio {
  const each = ascending(a.map((value, round) => value / (b[round] ?? Number.NaN)));
  return {
    value: summarize(a).p50 / summarize(b).p50,
    low: quantile(each, 0.25),
    high: quantile(each, 0.75),
  };
}
