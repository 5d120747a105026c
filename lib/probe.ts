import { type ProbeReport, probe as probeHost } from './host/probe.js';
import { run } from './run.js';

/**
 * What this kernel and this user can do, found by doing it in throw-away containers; nothing is
 * left behind. `ringfort doctor` prints it with what to do about what is missing.
 */
export function probe(): Promise<ProbeReport> {
  return probeHost({ run });
}
