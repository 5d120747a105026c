import { capabilityNames, rlimInfinity, rlimitNames } from '../names.js';
import type { SpecCapabilities, SpecRlimit } from '../types.js';
import type { Place } from './place.js';
import { list, object, oneOf, type Rule } from './rule.js';
import { checkText } from './text.js';

/** MAX_ARG_STRLEN without the NUL: the longest single argument or `NAME=value`, bytes. */
const maxArgument = 131071;

/**
 * All of argv and the environment with their pointers: what an 8 MiB stack allows (a quarter of
 * it), less a page for the program's name and the auxiliary vector. @see execve(2)
 */
const maxArguments = 2 * 1024 * 1024 - 4096;

const pointer = 8;

/** Bytes that execve(2) takes for one argument or variable: text, NUL and pointer. */
export function sizeOfArgument(value: unknown, at: Place): number {
  checkText(value, at);
  const bytes = Buffer.byteLength(value);
  if (bytes > maxArgument) throw at.invalid(`at most ${maxArgument} bytes`, bytes);
  return bytes + 1 + pointer;
}

/** An array of arguments or variables. @returns what they take together, in bytes */
export function sizeOfArguments(value: unknown, at: Place): number {
  if (!Array.isArray(value)) throw at.invalid('an array of strings', value);
  let total = 0;
  for (let i = 0; i < value.length; i++) {
    total += sizeOfArgument(value[i], at.index(i));
    // Here already, so that an endless array costs no more than one that just fits.
    checkArgumentsFit(total, at);
  }
  return total;
}

/** @param total bytes of argv and environment, as `sizeOfArgument` counts them */
export function checkArgumentsFit(total: number, at: Place): void {
  if (total > maxArguments) {
    throw at.invalid(`arguments and environment of at most ${maxArguments} bytes`, total);
  }
}

/** A variable's name: not empty, without `=`. */
export const variableName: Rule = (value, at) => {
  checkText(value, at);
  if (value === '' || value.includes('=')) throw at.invalid("a name without '='", value);
};

/** `NAME=value` as OCI writes it. */
export function checkVariable(value: string, at: Place): void {
  if (value.indexOf('=') <= 0) throw at.invalid("'NAME=value'");
}

/** Limits by kernel name. */
export const rlimitName: Rule = oneOf(...rlimitNames);

/** One limit: an integer, or `unlimited`. */
export function checkLimit(value: unknown, unlimited: number, at: Place): void {
  if (value === unlimited || (Number.isSafeInteger(value) && Number(value) >= 0)) return;
  throw at.invalid(
    `an integer from 0 to ${Number.MAX_SAFE_INTEGER}, or ${unlimited} for no limit`,
    value,
  );
}

const rlimit = object<SpecRlimit>(
  {
    type: rlimitName,
    soft: (value, at) => checkLimit(value, rlimInfinity, at),
    hard: (value, at) => checkLimit(value, rlimInfinity, at),
  },
  { required: ['type', 'soft', 'hard'] },
);

/** OCI `process.rlimits`: each at most once, soft not above hard. */
export const rlimits: Rule = (value, at) => {
  list(rlimit, rlimitNames.length)(value, at);
  const seen = new Set<string>();
  (value as SpecRlimit[]).forEach(({ type, soft, hard }, i) => {
    if (soft > hard) throw at.index(i).key('soft').invalid(`at most the hard limit ${hard}`, soft);
    if (seen.has(type)) throw at.index(i).key('type').invalid('each limit once', type);
    seen.add(type);
  });
};

/** The kernel's name of a capability that may be written without `CAP_`. */
export function fullCapabilityName(name: string): string {
  return name.startsWith('CAP_') ? name : `CAP_${name}`;
}

const knownCapability = oneOf(...capabilityNames);

/** A capability, with or without `CAP_`. */
export const capabilityName: Rule = (value, at) => {
  checkText(value, at);
  knownCapability(fullCapabilityName(value), at);
};

/**
 * The five sets, each a list of names that pass `name`, and in such a relation that the kernel
 * takes them: effective within permitted; ambient within permitted and inheritable; inheritable
 * and permitted within bounding. @see capabilities(7)
 */
export function capabilitySets(name: Rule): Rule {
  const names = list(name, 2 * capabilityNames.length);
  const shape = object<SpecCapabilities>({
    bounding: names,
    effective: names,
    permitted: names,
    inheritable: names,
    ambient: names,
  });
  const relations = [
    ['effective', 'permitted'],
    ['ambient', 'permitted'],
    ['ambient', 'inheritable'],
    ['permitted', 'bounding'],
    ['inheritable', 'bounding'],
  ] as const;
  return (value, at) => {
    shape(value, at);
    const sets = value as SpecCapabilities;
    for (const [inner, outer] of relations) {
      const allowed = new Set(sets[outer]?.map(fullCapabilityName));
      const extra = sets[inner]?.find((element) => !allowed.has(fullCapabilityName(element)));
      if (extra !== undefined) throw at.key(inner).invalid(`a subset of ${outer}`, extra);
    }
  };
}

/** The capabilities of a spec, by their full names. */
export const specCapabilities: Rule = capabilitySets(knownCapability);
