import { invalid } from '../errors.js';
import { capabilityNames } from '../spec/names.js';

/** The bit mask of a list of names. @throws InvalidSpecError for an unknown name */
export function capabilityMask(names: readonly string[] | undefined, option: string): bigint {
  let mask = 0n;
  for (const name of names ?? []) {
    const number = capabilityNames.indexOf(name);
    if (number < 0) throw invalid(option, 'a capability such as CAP_CHOWN', name);
    mask |= 1n << BigInt(number);
  }
  return mask;
}

/** `CAP_KILL`, all that our init keeps: it signals programs of other uids. */
export const killMask = 1n << BigInt(capabilityNames.indexOf('CAP_KILL'));
