import type { TextOptions } from '../helpers/containers.js';
import type { Requirement } from '../helpers/requirements.js';
import { alone, type Wall } from './alone.js';
import type { Check, Opening } from './check.js';
import { landlockWall } from './openings.js';

/** A call that the probe makes: refused in a container, let through where its walls are gone. */
export interface Call {
  id: string;
  attack: string;
  /** The probe's arguments. */
  call: readonly string[];
  walls: string;
  oracle: Opening;
  options?: TextOptions;
  held?: RegExp;
  broken?: RegExp;
  /** Whether the host's user may make the call, without any harm. */
  onHost?: true;
  absent?: RegExp;
  needs?: readonly Requirement[];
  /** Each of several walls stops it, whatever becomes of the others. */
  alone?: readonly Wall[];
}

/** What a denied call answers. */
const denied = /^(EPERM|ENOSYS|EACCES)$/;
/** What a kernel answers that was built without it. */
const notBuilt = /^(ENOSYS|EAFNOSUPPORT|EPROTONOSUPPORT|ESOCKTNOSUPPORT|EOPNOTSUPP|EIO)$/;

/** A check of one call of the probe's, and of each wall alone. */
export function callChecks(row: Call): Check[] {
  const { id, attack, call, walls, oracle, options, needs } = row;
  const check: Check = {
    id,
    attack,
    walls,
    ...(needs && { needs }),
    ...(row.onHost && { control: (bench) => bench.host(...call) }),
    attempt: (bench, opening) => bench.guest(call, opening, options),
    held: row.held ?? denied,
    broken: row.broken ?? /ok$/,
    absent: row.absent ?? notBuilt,
    oracle,
  };
  const of = row.alone ?? [];
  return [check, ...alone(check, of, of.includes(landlockWall) ? [] : [landlockWall])];
}

/** With a terminal of its own. */
export const inTerminal: TextOptions = { pty: { cols: 80, rows: 24 } };
