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

const checks: readonly Check[] = [
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

/** The catalogue's number; our own come after it. */
const order = ({ id }: Check) => (id.startsWith('r-') ? 1000 : Number.parseInt(id, 10));

/** Every check, in the order of the catalogue, then our own. */
export const corpus: readonly Check[] = [...checks].sort((a, b) => order(a) - order(b));
