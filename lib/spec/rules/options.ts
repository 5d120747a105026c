import { posix } from 'node:path';
import type {
  CompletionOptions,
  ContainerOptions,
  CreateOptions,
  ExecOptions,
  IoLimit,
  Limits,
  LimitsUpdate,
  LogLimits,
  NamespaceOptions,
  OverlayRoot,
  ProcessOptions,
  RunOptions,
  SpawnOptions,
} from '../../options.js';
import type { PoolContainerOptions, PoolOptions } from '../../pool/options.js';
import { annotationPrefix } from '../annotations.js';
import { parseMountString } from '../mountString.js';
import { id, idMappings, maxId } from './ids.js';
import { mount } from './mounts.js';
import { capabilityName, capabilitySets, checkLimit, rlimitName, variableName } from './process.js';
import { cpuList, minMemory, pids, resources } from './resources.js';
import {
  boolean,
  callable,
  integer,
  isObject,
  list,
  object,
  oneOf,
  type Rule,
  record,
  type Table,
} from './rule.js';
import * as runOption from './runOptions.js';
import { size } from './runOptions.js';
import { sysctls } from './sysctl.js';
import { absolutePath, anyPath, checkText, hostName, matching, text } from './text.js';

/** Mounts that options may ask for. */
const maxMounts = 1000;

/** NGROUPS_MAX. @see setgroups(2) */
const maxGroups = 65536;

/** An annotation's name or value, bytes. */
export const maxAnnotation = 65536;

const positive = integer(1, Number.MAX_SAFE_INTEGER);

const namespaceChoice: Rule = (value, at) => {
  if (!isObject(value)) {
    oneOf('new', 'host')(value, at);
    return;
  }
  object<{ path?: string; pid?: number }>({ path: absolutePath, pid: integer(1, 4194304) })(
    value,
    at,
  );
  if ((value.path === undefined) === (value.pid === undefined)) throw at.invalid('a path or a pid');
};

const namespaces = object<NamespaceOptions>({
  user: namespaceChoice,
  pid: namespaceChoice,
  mount: namespaceChoice,
  net: namespaceChoice,
  ipc: namespaceChoice,
  uts: namespaceChoice,
  cgroup: namespaceChoice,
  time: namespaceChoice,
});

const overlayShape = object<OverlayRoot>(
  { lower: list(anyPath, 500, 1), upper: anyPath, work: anyPath, size: size(4096) },
  { required: ['lower'] },
);

const rootfs: Rule = (value, at) => {
  if (typeof value === 'string') checkDirectory(value);
  else if (isObject(value)) checkOverlay();
  else throw at.invalid("'host', a directory or an overlay", value);

  function checkDirectory(path: string): void {
    anyPath(path, at);
    if (posix.normalize(path) === '/') throw at.invalid("'host' for the host's own root", path);
  }

  function checkOverlay(): void {
    overlayShape(value, at);
    const { upper, work, size: bytes } = value as OverlayRoot;
    if ((upper === undefined) !== (work === undefined)) throw at.invalid('upper and work together');
    if (upper !== undefined && bytes !== undefined) {
      throw at.key('size').invalid('no size beside upper: it is that of a layer in memory', bytes);
    }
  }
};

const mountOrString: Rule = (value, at) => {
  if (typeof value !== 'string') {
    mount(value, at);
    return;
  }
  checkText(value, at);
  mount(parseMountString(at.path, value), at);
};

/** A block device. */
export const device: Rule = matching(
  /^(\/.+|\d{1,4}:\d{1,7})$/,
  "a device's absolute path or 'major:minor'",
);

const ioShape = object<IoLimit>(
  { device, readBps: size(1), writeBps: size(1), readIops: positive, writeIops: positive },
  { required: ['device'] },
);

const io: Rule = (value, at) => {
  ioShape(value, at);
  const { device: _, ...rates } = value as IoLimit;
  if (Object.values(rates).every((rate) => rate === undefined)) {
    throw at.invalid('at least one of readBps, writeBps, readIops, writeIops');
  }
};

const cpus: Rule = (value, at) => {
  if (typeof value !== 'number' || !(value >= 0.01))
    throw at.invalid('a number of at least 0.01', value);
};

const limitRules: Table<Limits> = {
  memory: size(minMemory),
  swap: size(),
  cpus,
  cpuWeight: integer(1, 10000),
  cpuset: cpuList,
  pids,
  io: list(io, 100),
  cpuTime: positive,
  // sysctl fs.nr_open may not go beyond this. @see proc_sys_fs(5)
  nofile: integer(1, 2 ** 30),
  fsize: size(),
};

const limitTable = object<Limits>(limitRules);

const limits: Rule = (value, at) => {
  if (isObject(value)) limitTable(value, at);
  else if (value !== 'none') throw at.invalid("an object or 'none'", value);
};

const capabilities: Rule = (value, at) => {
  if (Array.isArray(value)) list(capabilityName, 100)(value, at);
  else if (isObject(value)) capabilitySets(capabilityName)(value, at);
  else if (value !== 'image')
    throw at.invalid("an array of names, an object of five sets, or 'image'", value);
};

const seccomp: Rule = (value, at) => {
  if (!isObject(value)) oneOf('default', 'unconfined')(value, at);
};

const rlimit: Rule = (value, at) => {
  if (Array.isArray(value) && value.length !== 2) throw at.invalid('[soft, hard]', value);
  const [soft, hard] = Array.isArray(value) ? value : [value, value];
  checkLimit(soft, Number.POSITIVE_INFINITY, at);
  checkLimit(hard, Number.POSITIVE_INFINITY, at);
  if (soft > hard) throw at.invalid(`a soft limit of at most the hard limit ${hard}`, soft);
};

const annotationName: Rule = (value, at) => {
  text(maxAnnotation)(value, at);
  if (value === '' || (value as string).startsWith(annotationPrefix)) {
    throw at.invalid(`a name that does not begin with ${annotationPrefix}`);
  }
};

/** A range of host ids that containers' ids are taken from. */
export const idPool: Rule = (value, at) => {
  object<NonNullable<ContainerOptions['idPool']>>(
    // One container takes 65,536 ids; 0 would be the host's root.
    { hostID: integer(1, maxId), size: integer(65536, maxId) },
    { required: ['hostID', 'size'] },
  )(value, at);
  const { hostID, size: ids } = value as NonNullable<ContainerOptions['idPool']>;
  if (hostID + ids - 1 > maxId)
    throw at.key('size').invalid(`a range that ends at id ${maxId}`, ids);
};

/** `name`, `name:group`, `uid:gid`; a number is an id. */
export const user: Rule = (value, at) => {
  matching(/^[^\s:]+(:[^\s:]+)?$/, "'name', 'name:group' or 'uid:gid'", 1024)(value, at);
  for (const word of (value as string).split(':')) {
    if (/^\d+$/.test(word) && Number(word) > maxId)
      throw at.invalid(`ids from 0 to ${maxId}`, value);
  }
};

const label: Rule = matching(/^[^\r\n]+$/, 'one line that is not empty');

/** A variable's value: the text rules, and no word of it in an error. */
const variable: Rule = (value, at) => {
  if (value === undefined) return;
  if (typeof value !== 'string') throw at.invalid(`a string, not ${typeof value}`);
  checkText(value, at);
};

const timeOffset = integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);

const containerTable: Table<ContainerOptions> = {
  rootfs,
  readonly: boolean,
  mounts: list(mountOrString, maxMounts),
  maskedPaths: list(absolutePath, maxMounts),
  readonlyPaths: list(absolutePath, maxMounts),
  hostname: hostName,
  domainname: hostName,
  namespaces,
  network: oneOf('none', 'host'),
  uidMappings: idMappings,
  gidMappings: idMappings,
  idPool,
  timeOffsets: object<NonNullable<ContainerOptions['timeOffsets']>>({
    monotonic: timeOffset,
    boottime: timeOffset,
  }),
  limits,
  resources,
  cgroupParent: absolutePath,
  capabilities,
  noNewPrivileges: boolean,
  seccomp,
  landlock: oneOf('auto', 'require', 'off'),
  apparmorProfile: label,
  selinuxLabel: label,
  rlimits: record(rlimitName, rlimit),
  oomScoreAdj: integer(-1000, 1000),
  sysctl: sysctls,
  init: boolean,
  annotations: record(annotationName, text(maxAnnotation)),
  oci: callable,
};

const processTable: Table<ProcessOptions> = {
  cwd: absolutePath,
  env: record(variableName, variable),
  uid: id,
  gid: id,
  groups: list(id, maxGroups),
  user,
  umask: integer(0, 0o777),
};

const completionTable: Table<CompletionOptions> = {
  timeout: runOption.timer,
  signal: runOption.abortSignal,
  killSignal: runOption.signalChoice,
  forceKillAfterDelay: runOption.timerOrFalse,
  input: runOption.input,
  stdio: runOption.stdio,
  maxBuffer: size(),
  maxBufferAction: oneOf('truncate', 'kill', 'error'),
  encoding: runOption.encoding,
  reject: boolean,
  pty: runOption.pty,
};

/** Every option of `run`, with what it may be: types, ranges, spelling. */
export const runOptions: Rule = object<RunOptions>({
  ...containerTable,
  ...processTable,
  ...completionTable,
});

/** A container's id, which is part of names of cgroups and files. */
export const containerId: Rule = matching(
  /^[A-Za-z0-9_-]{1,64}$/,
  '1 to 64 letters, digits, _ or -',
);

const { stdio, pty, signal, timeout, killSignal, forceKillAfterDelay } = completionTable;

/** A program and its arguments; what execve takes of them together is checked with `env`. */
const argv: Rule = (value, at) => {
  list(text(131_071), 65_536, 1)(value, at);
  if ((value as string[])[0] === '') throw at.index(0).invalid('the name of a program', '');
};

/** Every option of `createContainer`. */
export const createOptions: Rule = object<CreateOptions>({
  ...containerTable,
  ...processTable,
  id: containerId,
  command: argv,
  stdio,
  pty,
  detached: boolean,
  logs: object<LogLimits>({ maxSize: size(65536), maxFiles: integer(1, 100) }),
  start: boolean,
  labels: record(text(maxAnnotation), text(maxAnnotation)),
  signal,
});

/** What the containers of a pool may be. */
export const poolContainerOptions: Rule = object<PoolContainerOptions>({
  ...containerTable,
  ...processTable,
  labels: record(text(maxAnnotation), text(maxAnnotation)),
});

/** Every option of a `Pool` beside those of its containers. */
export const poolOptions: Rule = object<PoolOptions>({
  min: integer(0, 100_000),
  max: integer(1, 100_000),
  idleTimeout: runOption.timer,
  maxUses: (value, at) => {
    if (value !== 1) throw at.invalid('1: a container that has been used is not used again', value);
  },
  maxWaiting: integer(0, 1_000_000),
});

/** Options of child_process that are something else here. */
const instead = {
  argv0:
    'a program is called by the name that it is started by; for another one, start a link to it',
  shell: "use container.shell(script), or run 'sh' with ['-c', script]",
  detached:
    'a program lives as long as its container, which outlives this process with createContainer({ detached: true })',
};

/** Every option of `container.exec`. */
export const execOptions: Rule = object<ExecOptions>(
  { ...processTable, ...completionTable, limits: limitTable },
  { instead },
);

/** Every option of `container.spawn`. */
export const spawnOptions: Rule = object<Omit<SpawnOptions, 'windowsHide'>>(
  {
    ...processTable,
    limits: limitTable,
    stdio,
    pty,
    timeout,
    signal,
    killSignal,
    forceKillAfterDelay,
  },
  { instead },
);

function orNull(rule: Rule): Rule {
  return (value, at) => {
    if (value !== null) rule(value, at);
  };
}

const { memory, swap, cpus: cpuShare, cpuWeight, cpuset, pids: tasks, io: rates } = limitRules;

/** The options of `container.update`. */
export const updateOptions: Rule = object<{ limits: LimitsUpdate }>(
  {
    limits: object<LimitsUpdate>({
      memory: orNull(memory),
      swap,
      cpus: orNull(cpuShare),
      cpuWeight,
      cpuset,
      pids: orNull(tasks),
      io: rates,
    }),
  },
  { required: ['limits'] },
);
