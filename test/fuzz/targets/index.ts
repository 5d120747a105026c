import type { Target } from '../target.js';
import { cliTargets } from './cli.js';
import { fileClientTargets } from './fileClient.js';
import { fileTargets } from './files.js';
import { hostTargets } from './host.js';
import { launcherTargets } from './launcher.js';
import { optionTargets } from './options.js';
import { protocolTargets } from './protocol.js';
import { seccompTargets } from './seccomp.js';
import { specTargets } from './spec.js';

/** Everything that is fuzzed in TypeScript; the C++ has test/native/*_fuzz.cc. */
export const targets: readonly Target[] = [
  ...optionTargets,
  ...specTargets,
  ...seccompTargets,
  ...cliTargets,
  ...launcherTargets,
  ...protocolTargets,
  ...fileTargets,
  ...fileClientTargets,
  ...hostTargets,
];
