import { ociSeccomp as seccomp } from '../../seccomp/rules.js';
import { namespaceTypes } from '../namespaces.js';
import type { Spec, SpecLinux, SpecNamespace, SpecProcess, SpecRoot, SpecUser } from '../types.js';
import { annotations } from './annotations.js';
import { id, idMappings } from './ids.js';
import { resolvedMount } from './mounts.js';
import {
  checkArgumentsFit,
  checkVariable,
  rlimits,
  sizeOfArguments,
  specCapabilities,
} from './process.js';
import { resources } from './resources.js';
import { all, boolean, integer, list, object, oneOf, type Rule } from './rule.js';
import { sysctls } from './sysctl.js';
import { absolutePath, checkText, hostName, matching } from './text.js';

/** The mounts that options may ask for, and the default ones. */
const maxMounts = 1024;

const line: Rule = matching(/^[^\r\n]+$/, 'one line that is not empty');

const consoleSize = object<NonNullable<SpecProcess['consoleSize']>>(
  { height: integer(1, 65535), width: integer(1, 65535) },
  { required: ['height', 'width'] },
);

const user = object<SpecUser>(
  { uid: id, gid: id, umask: integer(0, 0o777), additionalGids: list(id, 65536) },
  { required: ['uid', 'gid'], unsupported: ['username'] },
);

const args: Rule = (value, at) => {
  sizeOfArguments(value, at);
  if ((value as unknown[]).length === 0) throw at.invalid('the program at least');
};

const env: Rule = (value, at) => {
  sizeOfArguments(value, at);
  (value as string[]).forEach((variable, i) => {
    checkVariable(variable, at.index(i));
  });
};

const argumentsFit: Rule = (value, at) => {
  const process = value as SpecProcess;
  const strings = [...process.args, ...(process.env ?? [])];
  checkArgumentsFit(sizeOfArguments(strings, at), at);
};

const process: Rule = all(
  object<SpecProcess>(
    {
      terminal: boolean,
      consoleSize,
      user,
      args,
      env,
      cwd: absolutePath,
      capabilities: specCapabilities,
      rlimits,
      noNewPrivileges: boolean,
      oomScoreAdj: integer(-1000, 1000),
      apparmorProfile: line,
      selinuxLabel: line,
    },
    {
      required: ['user', 'args', 'cwd'],
      unsupported: ['commandLine', 'scheduler', 'ioPriority', 'execCPUAffinity'],
    },
  ),
  argumentsFit,
);

const namespace = object<SpecNamespace>(
  { type: oneOf(...namespaceTypes), path: absolutePath },
  { required: ['type'] },
);

type TimeOffset = NonNullable<NonNullable<SpecLinux['timeOffsets']>['monotonic']>;

const timeOffset = object<TimeOffset>(
  {
    secs: integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    nanosecs: integer(0, 999_999_999),
  },
  { required: ['secs'] },
);

const cgroupsPath: Rule = (value, at) => {
  line(value, at);
  if ((value as string).split('/').includes('..')) throw at.invalid("a path without '..'", value);
};

const linux = object<SpecLinux>(
  {
    namespaces: list(namespace, namespaceTypes.length),
    uidMappings: idMappings,
    gidMappings: idMappings,
    timeOffsets: object<NonNullable<SpecLinux['timeOffsets']>>({
      monotonic: timeOffset,
      boottime: timeOffset,
    }),
    cgroupsPath,
    resources,
    sysctl: sysctls,
    seccomp,
    maskedPaths: list(absolutePath, maxMounts),
    readonlyPaths: list(absolutePath, maxMounts),
  },
  {
    required: ['namespaces'],
    unsupported: [
      'devices',
      'intelRdt',
      'ioPriority',
      'memoryPolicy',
      'mountLabel',
      'netDevices',
      'personality',
      'rootfsPropagation',
      'scheduler',
    ],
  },
);

const version: Rule = (value, at) => {
  checkText(value, at);
  if (!/^1\.\d+\.\d+([-+].{1,64})?$/.test(value)) throw at.invalid("a version '1.x.y'", value);
};

/** Every field of a spec, with what it may be. */
export const specFields: Rule = object<Spec>(
  {
    ociVersion: version,
    root: object<SpecRoot>({ path: absolutePath, readonly: boolean }, { required: ['path'] }),
    mounts: list(resolvedMount, maxMounts),
    process,
    hostname: hostName,
    domainname: hostName,
    annotations,
    linux,
  },
  {
    required: ['ociVersion', 'linux'],
    unsupported: ['hooks', 'solaris', 'windows', 'vm', 'zos', 'freebsd'],
  },
);
