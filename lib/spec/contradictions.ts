import { posix } from 'node:path';
import { invalid } from '../errors.js';
import type { RunOptions } from '../options.js';
import { defaultLimits } from './defaults.js';
import { identityFromOptions } from './identity.js';
import { isMapped } from './idMap.js';
import { resourcesFromOptions } from './limits.js';
import { parseMountString } from './mountString.js';
import { namespaceMode, namespacesFromOptions } from './namespaces.js';
import { optionsPlace } from './rules/place.js';
import { checkSysctlNamespaces } from './rules/sysctl.js';

/** What the machine has that options can ask too much of. */
export interface MachineFacts {
  /** CPUs that this machine has. */
  hostCpus: number;
}

/** A check of options that are right each by itself. Throws an InvalidSpecError. */
export type Check = (options: RunOptions, machine: MachineFacts) => void;

const userIsNamedOnce: Check = ({ user, uid, gid }) => {
  if (user === undefined) return;
  if (uid !== undefined) throw invalid('uid', 'nothing beside `user`', uid);
  if (gid !== undefined) throw invalid('gid', "nothing beside `user`; write 'user:group'", gid);
};

const mapsComeInPairs: Check = ({ uidMappings, gidMappings, idPool }) => {
  if (uidMappings !== undefined && gidMappings === undefined) {
    throw invalid('gidMappings', 'a value beside `uidMappings`');
  }
  if (gidMappings !== undefined && uidMappings === undefined) {
    throw invalid('uidMappings', 'a value beside `gidMappings`');
  }
  if (uidMappings !== undefined && idPool !== undefined) {
    throw invalid('idPool', 'nothing beside `uidMappings`, which names the ids', idPool);
  }
};

const mapsNeedNewUserNamespace: Check = ({ namespaces, uidMappings, idPool }) => {
  if ((namespaces?.user ?? 'new') === 'new') return;
  const option = uidMappings !== undefined ? 'uidMappings' : 'idPool';
  if (uidMappings !== undefined || idPool !== undefined) {
    throw invalid(option, "nothing where `namespaces.user` is not 'new'");
  }
};

const idsAreMapped: Check = (options) => {
  const { uidMappings, gidMappings } = options;
  if (uidMappings === undefined || gidMappings === undefined) return;
  const { user, lookup } = identityFromOptions(options);
  const [uidOption, gidOption] = options.user === undefined ? ['uid', 'gid'] : ['user', 'user'];
  // Ids that are still to be looked up are checked where they are found.
  const uidKnown = lookup === undefined || options.uid !== undefined;
  if (uidKnown && !isMapped(uidMappings, user.uid)) {
    throw invalid(uidOption, 'an id within `uidMappings`', user.uid);
  }
  if (lookup === undefined && !isMapped(gidMappings, user.gid)) {
    throw invalid(gidOption, 'an id within `gidMappings`', user.gid);
  }
  user.additionalGids?.forEach((gid, i) => {
    if (!isMapped(gidMappings, gid))
      throw invalid(`groups[${i}]`, 'an id within `gidMappings`', gid);
  });
};

const networkIsNamedOnce: Check = ({ network, namespaces }) => {
  const choice = namespaces?.net;
  if (network === undefined || choice === undefined) return;
  const expected = network === 'host' ? 'host' : 'new';
  if (choice !== expected)
    throw invalid('namespaces.net', `'${expected}' beside \`network: '${network}'\``, choice);
};

const mountNamespaceIsOurs: Check = (options) => {
  const choice = options.namespaces?.mount ?? 'new';
  if (choice === 'host') {
    throw invalid(
      'namespaces.mount',
      "'new' or one to join; a container has its own mounts",
      choice,
    );
  }
  if (choice === 'new') return;
  for (const option of ['rootfs', 'readonly', 'mounts', 'maskedPaths', 'readonlyPaths'] as const) {
    const value = options[option];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    throw invalid(option, 'nothing where `namespaces.mount` is joined, root and all', value);
  }
};

const hostRootIsReadonly: Check = ({ rootfs = 'host', readonly }) => {
  if (rootfs === 'host' && readonly === false) {
    throw invalid(
      'readonly',
      "true with `rootfs: 'host'`; /tmp and the home directory are writable",
      false,
    );
  }
};

const offsetsNeedTimeNamespace: Check = ({ timeOffsets, namespaces }) => {
  if (timeOffsets !== undefined && namespaces?.time !== 'new') {
    throw invalid('timeOffsets', "`namespaces.time: 'new'` beside it");
  }
};

const namesNeedUtsNamespace: Check = ({ hostname, domainname, namespaces }) => {
  if ((namespaces?.uts ?? 'new') === 'new') return;
  const expected = "nothing where `namespaces.uts` is not 'new'";
  if (hostname !== undefined) throw invalid('hostname', expected, hostname);
  if (domainname !== undefined) throw invalid('domainname', expected, domainname);
};

const sysctlsNeedNamespaces: Check = (options) => {
  const namespaces = namespacesFromOptions(options);
  const isNew = (type: Parameters<typeof namespaceMode>[1]) =>
    namespaceMode(namespaces, type) === 'new';
  checkSysctlNamespaces(options.sysctl ?? {}, isNew, optionsPlace.key('sysctl'));
};

const limitsAreGivenUpAlone: Check = ({ limits, resources }) => {
  if (limits === 'none' && resources !== undefined) {
    throw invalid('resources', "nothing beside `limits: 'none'`");
  }
};

const rlimitsAreNamedOnce: Check = ({ limits, rlimits }) => {
  if (limits === undefined || limits === 'none' || rlimits === undefined) return;
  for (const [option, name] of [
    ['nofile', 'RLIMIT_NOFILE'],
    ['fsize', 'RLIMIT_FSIZE'],
  ] as const) {
    if (limits[option] !== undefined && rlimits[name] !== undefined) {
      throw invalid(`rlimits.${name}`, `nothing beside \`limits.${option}\``, rlimits[name]);
    }
  }
};

const cpusExist: Check = ({ limits }, machine) => {
  if (limits === undefined || limits === 'none' || limits.cpus === undefined) return;
  const { hostCpus } = machine;
  if (limits.cpus > hostCpus) {
    throw invalid('limits.cpus', `at most ${hostCpus}, the CPUs of this machine`, limits.cpus);
  }
};

const swapCoversMemory: Check = (options) => {
  const { limit = defaultLimits.memory, swap = limit } =
    resourcesFromOptions(options)?.memory ?? {};
  if (swap !== -1 && swap < limit) {
    throw invalid('resources.memory.swap', `memory and swap together, at least ${limit}`, swap);
  }
  if (!Number.isSafeInteger(swap))
    throw invalid('limits.swap', 'a sum with memory below 2^53', swap);
};

const mountsAreDistinct: Check = ({ mounts = [] }) => {
  const seen = new Set<string>();
  mounts.forEach((mount, i) => {
    const option = `mounts[${i}]`;
    const { destination } = typeof mount === 'string' ? parseMountString(option, mount) : mount;
    const path = posix.resolve('/', destination);
    if (seen.has(path)) throw invalid(option, 'another destination than an earlier mount', path);
    seen.add(path);
  });
};

const terminalIsAllThree: Check = ({ pty, input, stdio = 'pipe' }) => {
  if (pty === undefined) return;
  if (input !== undefined) throw invalid('input', 'nothing beside `pty`; write to the terminal');
  const [stdin, stdout, stderr] = Array.isArray(stdio) ? stdio : [stdio, stdio, stdio];
  const relayed = stdout === 'inherit' && (stdin === 'inherit' || stdin === 'ignore');
  const piped = stdout === 'pipe' && stdin === 'pipe';
  if (stderr !== stdout || !(relayed || piped)) {
    throw invalid('stdio', "'pipe' or 'inherit' for all three beside `pty`; stdin may be 'ignore'");
  }
};

const inputNeedsPipe: Check = ({ input, stdio = 'pipe' }) => {
  const stdin = Array.isArray(stdio) ? stdio[0] : stdio;
  if (input !== undefined && stdin !== 'pipe') {
    throw invalid(Array.isArray(stdio) ? 'stdio[0]' : 'stdio', "'pipe' for stdin beside `input`");
  }
};

/** All of them, in the order that they are made. */
export const contradictions: readonly Check[] = [
  userIsNamedOnce,
  mapsComeInPairs,
  mapsNeedNewUserNamespace,
  idsAreMapped,
  networkIsNamedOnce,
  mountNamespaceIsOurs,
  hostRootIsReadonly,
  offsetsNeedTimeNamespace,
  namesNeedUtsNamespace,
  sysctlsNeedNamespaces,
  limitsAreGivenUpAlone,
  rlimitsAreNamedOnce,
  cpusExist,
  swapCoversMemory,
  mountsAreDistinct,
  terminalIsAllThree,
  inputNeedsPipe,
];

/** Those that concern a program in a container that exists. */
export const programContradictions: readonly Check[] = [
  userIsNamedOnce,
  cpusExist,
  terminalIsAllThree,
  inputNeedsPipe,
];
