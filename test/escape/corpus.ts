import type { Check } from './check.js';
import { catalogueCalls, ownCalls } from './kernel.js';

/** Every check, in the order of the catalogue, then our own. */
export const corpus: readonly Check[] = [...catalogueCalls, ...ownCalls];
