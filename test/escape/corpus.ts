import type { Check } from './check.js';
import { descriptorChecks } from './descriptors.js';
import { catalogueCalls, ownCalls } from './kernel.js';
import { mountChecks } from './mounts.js';
import { pathChecks } from './paths.js';
import { specChecks } from './spec.js';
import { surfaceChecks } from './surface.js';

/** Every check, in the order of the catalogue, then our own. */
export const corpus: readonly Check[] = [
  ...pathChecks,
  ...mountChecks,
  ...descriptorChecks,
  ...specChecks,
  ...surfaceChecks,
  ...catalogueCalls,
  ...ownCalls,
];
