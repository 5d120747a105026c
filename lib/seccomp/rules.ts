import type { Place } from '../spec/rules/place.js';
import { all, integer, isObject, list, object, oneOf, type Rule } from '../spec/rules/rule.js';
import { matching, text } from '../spec/rules/text.js';
import type {
  DockerCondition,
  DockerProfile,
  DockerSyscall,
  OciSeccomp,
  SeccompArgument,
  SeccompSyscall,
} from './profile.js';
import {
  actions,
  architectures,
  dockerArchitectures,
  flags,
  listenerFlags,
  operators,
} from './words.js';

/** Profiles written by Go programs say `null` for a field that is not given. */
function nullable(rule: Rule): Rule {
  return (value, at) => {
    if (value !== null) rule(value, at);
  };
}

const action: Rule = (value, at) => {
  if (value === 'SCMP_ACT_NOTIFY') throw at.unsupported();
  oneOf(...Object.keys(actions))(value, at);
};

const flag: Rule = (value, at) => {
  if (typeof value === 'string' && listenerFlags.includes(value)) throw at.unsupported();
  oneOf(...Object.keys(flags))(value, at);
};

/** Up to MAX_ERRNO, what seccomp(2) lets through. */
const errno = nullable(integer(0, 4095));

/** 64 bits; digits where JSON's numbers would lose some. */
const word: Rule = (value, at) => {
  const digits = typeof value === 'string' && /^\d{1,20}$/.test(value);
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
  const number = digits || whole ? BigInt(value as string | number | bigint) : -1n;
  if (number < 0n || number >= 2n ** 64n) {
    throw at.invalid(
      'an integer of 64 bits, as a bigint or a string of digits from 2^53 on',
      value,
    );
  }
};

const argument = object<SeccompArgument>(
  {
    index: integer(0, 5),
    value: word,
    valueTwo: nullable(word),
    op: oneOf(...operators),
  },
  { required: ['index', 'value', 'op'] },
);

const callName = matching(/^[a-z0-9_]+$/i, 'the name of a system call', 255);
const callNames = list(callName, 1000, 1);

/** Kernel and runc know a number beside these two actions only. */
function errnoFits(action: string, errnoRet: string): Rule {
  return (value, at) => {
    if (!isObject(value) || value[errnoRet] === undefined || value[errnoRet] === null) return;
    if (value[action] === 'SCMP_ACT_ERRNO' || value[action] === 'SCMP_ACT_TRACE') return;
    throw at.key(errnoRet).invalid(`none beside ${String(value[action])}`);
  };
}

const syscallFields = {
  action,
  errnoRet: errno,
  args: nullable(list(argument, 100)),
};

const syscall = all(
  object<SeccompSyscall>({ ...syscallFields, names: callNames }, { required: ['names', 'action'] }),
  errnoFits('action', 'errnoRet'),
);

const profileFields = {
  defaultAction: action,
  defaultErrnoRet: errno,
  architectures: nullable(list(oneOf(...architectures), 50)),
  flags: nullable(list(flag, 10)),
};

const unsupported = ['listenerPath', 'listenerMetadata'];

/** OCI `linux.seccomp`. */
export const ociSeccomp: Rule = all(
  object<OciSeccomp>(
    { ...profileFields, syscalls: nullable(list(syscall, 5000)) },
    { required: ['defaultAction'], unsupported },
  ),
  errnoFits('defaultAction', 'defaultErrnoRet'),
);

const condition = nullable(
  object<DockerCondition>({
    caps: nullable(list(matching(/^CAP_[A-Z_]+$/, "a name such as 'CAP_SYS_ADMIN'"), 100)),
    arches: nullable(list(oneOf(...dockerArchitectures), 50)),
    minKernel: nullable(matching(/^\d{1,5}\.\d{1,5}$/, "a version such as '4.8'")),
  }),
);

function oneGiven(value: unknown, at: Place, first: string, second: string): void {
  if (isObject(value) && value[first] && value[second]) {
    throw at.key(second).invalid(`none beside ${first}`);
  }
}

const dockerSyscall = all(
  object<DockerSyscall>(
    {
      ...syscallFields,
      name: nullable(matching(/^[a-z0-9_]*$/i, 'the name of a system call', 255)),
      names: nullable(list(callName, 1000)),
      comment: nullable(text()),
      includes: condition,
      excludes: condition,
    },
    { required: ['action'] },
  ),
  errnoFits('action', 'errnoRet'),
  (value, at) => oneGiven(value, at, 'names', 'name'),
);

const archMapEntry = object<NonNullable<DockerProfile['archMap']>[number]>(
  {
    architecture: oneOf(...architectures),
    subArchitectures: nullable(list(oneOf(...architectures), 50)),
  },
  { required: ['architecture'] },
);

/** Docker's JSON profile; an OCI object is one, too. */
export const dockerProfile: Rule = all(
  object<DockerProfile>(
    {
      ...profileFields,
      archMap: nullable(list(archMapEntry, 50)),
      syscalls: nullable(list(dockerSyscall, 5000)),
    },
    { required: ['defaultAction'], unsupported },
  ),
  errnoFits('defaultAction', 'defaultErrnoRet'),
  (value, at) => oneGiven(value, at, 'architectures', 'archMap'),
);
