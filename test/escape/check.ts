import type { TextOptions } from '../helpers/containers.js';
import type { Requirement } from '../helpers/requirements.js';
import type { Bench } from './bench.js';
import type { Mutation } from './mutate.js';
import type { PlanEdit } from './planEdit.js';

/** What is taken away so that an attack must succeed. */
export interface Opening {
  /** Which walls those are, in words. */
  what: string;
  /** Public options that give them up by name. */
  options?: TextOptions;
  /** What no option gives up: an edit of the compiled plan, of this test only. */
  edit?: PlanEdit;
  /** What no plan has: defences of the launcher's own, taken out of its source. */
  mutations?: readonly Mutation[];
  /** What this needs of the machine; unmet, there is no oracle. */
  needs?: readonly Requirement[];
}

/** One attack, and what must come of it. */
export interface Check {
  /** The number of the catalogue; those that it lacks begin with `r`. */
  id: string;
  attack: string;
  /** What stops it. */
  walls: string;
  /** What the check cannot do without. */
  needs?: readonly Requirement[];
  /** The same call where it is allowed: its answer must match `broken`. Default: the opened attack. */
  control?: (bench: Bench) => Promise<string>;
  /** The attack; its answer is what the guest, or whoever watches it, has seen. */
  attempt: (bench: Bench, opening: Opening | undefined) => Promise<string>;
  /** The answer that is required. */
  held: RegExp;
  /** The answer of an attack that succeeds. */
  broken: RegExp;
  /** The control's answer on a kernel that has not got what is attacked: there is no oracle then. */
  absent?: RegExp;
  /** The defence to be removed, or why nothing can remove it. */
  oracle: Opening | { none: string };
}

/** An item of the catalogue that waits for a capability of ringfort's. */
export interface Waiting {
  id: string;
  attack: string;
  /** What there has to be first. */
  waitsFor: string;
}
