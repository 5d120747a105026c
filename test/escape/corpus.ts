import type { Check } from './check.js';
import { descriptorChecks } from './descriptors.js';
import { fileChecks } from './files.js';
import { catalogueCalls } from './kernel.js';
import { lifecycleChecks } from './lifecycle.js';
import { mountChecks } from './mounts.js';
import { neighbourChecks } from './neighbours.js';
import { ownCalls } from './ownCalls.js';
import { pathChecks } from './paths.js';
import { resourceChecks } from './resources.js';
import { specChecks } from './spec.js';
import { surfaceChecks } from './surface.js';

/** Every check, in the order of the catalogue, then our own. */
export const corpus: readonly Check[] = [
  ...pathChecks,
  ...mountChecks,
  ...descriptorChecks,
  ...fileChecks,
  ...specChecks,
  ...surfaceChecks,
  ...catalogueCalls,
  ...resourceChecks,
  ...lifecycleChecks,
  ...neighbourChecks,
  ...ownCalls,
];
