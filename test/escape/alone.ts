import { type Requirement, root } from '../helpers/requirements.js';
import type { Check, Opening } from './check.js';
import { hostRoot } from './openings.js';
import { edits } from './planEdit.js';

/** One of several walls that stop an attack. */
export interface Wall {
  /** Follows the check's id. */
  id: string;
  /** What it is, in words. */
  wall: string;
  /** How it is given up. */
  open: Pick<Opening, 'options' | 'edit'>;
  /** What it needs to stand alone. */
  needs?: readonly Requirement[];
  /** What it answers; as the check does if not given. */
  held?: RegExp;
}

/** All of them given up. */
function together(what: string, walls: readonly Wall[]): Opening {
  const options = walls.map(({ open }) => open.options ?? {});
  const namespaces = Object.assign({}, ...options.map((each) => each.namespaces));
  const list = walls.flatMap(({ open }) => open.edit ?? []);
  return {
    what,
    options: { ...Object.assign({}, ...options), namespaces },
    ...(list.length > 0 && { edit: edits(...list) }),
  };
}

/** Checks, and each wall of those that more than one stops alone. @param of walls by the check's id */
export function withAlone(
  checks: readonly Check[],
  of: Readonly<Record<string, readonly Wall[]>>,
  gone: readonly Wall[] = [],
): Check[] {
  return checks.flatMap((check) => [check, ...alone(check, of[check.id] ?? [], gone)]);
}

/**
 * The same attack for each wall, with the others given up: so that none of them hides the loss of
 * another. Those that are not in `of` stand in all of them.
 */
export function alone(
  { control: _, ...check }: Check,
  of: readonly Wall[],
  /** Walls that do not stop it without another's help. */
  gone: readonly Wall[] = [],
): Check[] {
  const all = [...of, ...gone];
  const opening = 'none' in check.oracle ? [] : (check.oracle.needs ?? []);
  return of.map((one) => {
    const others = together(
      'the others',
      all.filter((each) => each !== one),
    );
    // What it takes to give all of them up it takes, too, to give up all but one.
    const needs = [...(check.needs ?? []), ...(one.needs ?? []), ...opening];
    return {
      ...check,
      id: `${check.id}:${one.id}`,
      attack: `${check.attack}, with nothing else in the way`,
      walls: one.wall,
      needs: needs.includes(hostRoot) ? [root, ...needs] : needs,
      attempt: (bench, open) => check.attempt(bench, open ?? others),
      held: one.held ?? check.held,
      oracle: together(one.wall, all),
    };
  });
}
