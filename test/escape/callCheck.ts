import type { TextOptions } from '../helpers/containers.js';
import type { Requirement } from '../helpers/requirements.js';
import type { Check, Opening } from './check.js';

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
}

/** What a denied call answers. */
const denied = /^(EPERM|ENOSYS|EACCES)$/;
/** What a kernel answers that was built without it. */
const notBuilt = /^(ENOSYS|EAFNOSUPPORT|EPROTONOSUPPORT|ESOCKTNOSUPPORT|EOPNOTSUPP|EIO)$/;

/** A check of one call of the probe's. */
export function callCheck(row: Call): Check {
  const { id, attack, call, walls, oracle, options, needs } = row;
  return {
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
}

/** With a terminal of its own. */
export const inTerminal: TextOptions = { pty: { cols: 80, rows: 24 } };
