import { type Plan, type Section, type Slot, type Step, slot } from './steps.js';

/** A plan in the making: policy functions append their steps and take slots from it. */
export class PlanBuilder {
  readonly prepare: Step[] = [];
  readonly attend: Step[] = [];
  readonly child: Step[] = [];
  readonly teardown: Step[] = [];
  cloneFlags = 0n;
  intoCgroup: Slot = slot.none;
  waived = 0;
  flags = 0;
  readonly #fds: number[] = [];
  #slots = 0;

  /** @param fds descriptors of this process that travel with the plan: slots 0, 1, … */
  constructor(fds: readonly number[] = []) {
    this.#fds.push(...fds);
    this.#slots = fds.length;
  }

  /** A slot that one `open`-like step fills and later steps read. */
  newSlot(): Slot {
    return this.#slots++;
  }

  /** Appends steps to a section. */
  add(section: Section, ...steps: Step[]): void {
    this[section].push(...steps);
  }

  /** The finished plan. */
  build(): Plan {
    return {
      cloneFlags: this.cloneFlags,
      intoCgroup: this.intoCgroup,
      fds: this.#fds,
      slotCount: this.#slots,
      waived: this.waived,
      flags: this.flags,
      prepare: this.prepare,
      attend: this.attend,
      child: this.child,
      teardown: this.teardown,
    };
  }
}
