import { askForTrace, encodePlan } from './encode.js';
import { renamePlan } from './rename.js';
import type { Plan } from './steps.js';

/** Every place where a text stands in bytes. */
function placesOf(bytes: Buffer, text: string): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length))
    places.push(at);
  return places;
}

/**
 * An encoded plan with stand-ins: texts of fixed length in whose place each use has its own. To write
 * over them takes a hundredth of the time of making and encoding the plan.
 */
export class Stencil {
  readonly #plan: Plan;
  readonly #bytes: Buffer;
  readonly #standIns: readonly string[];
  readonly #places: readonly (readonly number[])[];

  constructor(plan: Plan, standIns: readonly string[]) {
    this.#plan = plan;
    this.#bytes = encodePlan(plan);
    this.#standIns = standIns;
    this.#places = standIns.map((text) => placesOf(this.#bytes, text));
  }

  /** How often a stand-in stands in the plan. */
  count(standIn: string): number {
    return this.#places[this.#standIns.indexOf(standIn)]?.length ?? 0;
  }

  /**
   * The bytes with these texts in place of the stand-ins, in their order and of their lengths.
   * @param traced the launcher is to tell when each step was done
   */
  fill(texts: readonly string[], traced: boolean): Buffer {
    const bytes = Buffer.from(this.#bytes);
    for (const [index, places] of this.#places.entries())
      for (const at of places) bytes.write(texts[index] ?? '', at, 'latin1');
    if (traced) askForTrace(bytes);
    return bytes;
  }

  /** The plan that `fill` has encoded, for words about it. */
  plan(texts: readonly string[], fds: readonly number[]): Plan {
    const names = this.#standIns.map((text, index) => [text, texts[index] ?? ''] as const);
    return renamePlan({ ...this.#plan, fds }, names);
  }
}
