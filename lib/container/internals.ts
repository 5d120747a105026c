import type { Container } from './container.js';
import type { Life } from './life.js';
import type { Programs } from './programs.js';

/** What a container is made of, for the rest of lib/. */
export interface Internals {
  life: Life;
  programs: Programs;
}

const known = new WeakMap<Container, Internals>();

/** Called once by each container. */
export function setInternals(container: Container, internals: Internals): void {
  known.set(container, internals);
}

/** What a container of this copy of the package is made of. */
export function internalsOf(container: Container): Internals {
  return known.get(container) as Internals;
}
