import type { Measurements } from './rounds.js';
import { type Ratio, ratioOf } from './statistics.js';

/** How thorough a run is. */
export interface Effort {
  /** Factor for the number of rounds; 1 is what RESULTS.md is made with. */
  scale: number;
  /** The goals and parts that were named; none: all. */
  wanted: readonly string[];
}

/** One line of the table of goals. */
export interface Check {
  /** `'P1'`, … */
  goal: string;
  /** What is compared with what. */
  what: string;
  /** What was measured; absent where something that it needs is. */
  found?: Ratio | { value: number; unit: string };
  /** The goal: at most, or at least. */
  most?: number;
  least?: number;
  /** Why nothing was found. */
  absent?: string;
}

/** What a measurement brings. */
export interface Section {
  title: string;
  /** Of the rows: `'ms'`, `'containers/s'`, … */
  unit: string;
  rows: Measurements;
  checks: Check[];
  /** Rows that this host cannot measure, and why. */
  absent?: string[];
  notes?: string[];
  /** In place of all this: a text of its own. */
  text?: string;
}

/** A part of the benchmark. */
export interface Part {
  /** The goals that it measures, and its own name: what `npm run bench --` takes. */
  names: readonly string[];
  measure(effort: Effort): Promise<Section[]>;
}

/** The check of two rows; absent when one of them is. */
export function compare(
  rows: Measurements,
  [goal, a, b]: readonly [string, string, string],
  bound: Pick<Check, 'most' | 'least'>,
): Check {
  const [left, right] = [rows.get(a), rows.get(b)];
  const what = `${a} / ${b}`;
  if (left === undefined || right === undefined) {
    return { goal, what, ...bound, absent: `${left === undefined ? a : b} is absent` };
  }
  return { goal, what, ...bound, found: ratioOf(left, right) };
}
