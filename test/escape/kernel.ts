import { existsSync, readFileSync } from 'node:fs';
import { type Call, callChecks, inTerminal } from './callCheck.js';
import type { Check, Opening } from './check.js';
import {
  admin,
  adminWalls,
  callWalls,
  hostPowers,
  idsWall,
  landlockWall,
  noFilter,
} from './openings.js';

/** The probe's words for the flags of namespaces(7). */
const newUser = '0x10000000';

const perfSetting = '/proc/sys/kernel/perf_event_paranoid';
/** Above 2, which Debian's kernel has, it is for CAP_SYS_ADMIN over the host alone. */
const perfParanoid = existsSync(perfSetting) ? Number(readFileSync(perfSetting, 'utf8')) : 0;

/** The same as the host's root, whose cgroup namespace may mount new hierarchies. */
const hostHierarchies: Opening = {
  ...hostPowers('CAP_SYS_ADMIN'),
  what: 'all of them',
  options: {
    ...hostPowers('CAP_SYS_ADMIN').options,
    namespaces: { user: 'host', cgroup: 'host' },
  },
};

const calls: readonly Call[] = [
  {
    id: '39',
    attack: 'mount a cgroup hierarchy, for its release_agent (CVE-2022-0492)',
    call: ['mount', 'cgroup2'],
    walls: 'no capability, seccomp, Landlock',
    oracle: admin,
    alone: [...adminWalls, landlockWall],
  },
  {
    id: '39-v1',
    attack: 'the same of a hierarchy of cgroup v1',
    call: ['mount', 'cgroup'],
    walls: 'user and cgroup namespaces, no capability, seccomp, Landlock',
    oracle: hostHierarchies,
    // Its controllers are in other hierarchies.
    broken: /^(ok|EBUSY|EINVAL)$/,
  },
  {
    id: '41',
    attack: 'a user namespace of its own by unshare',
    call: ['unshare', newUser],
    walls: 'seccomp',
    oracle: noFilter,
  },
  {
    id: '41-clone',
    attack: 'a user namespace of its own by clone',
    call: ['clone', newUser],
    walls: 'seccomp',
    oracle: noFilter,
  },
  {
    id: '42',
    attack: 'the new mount calls, by open_tree',
    call: ['open-tree'],
    walls: 'seccomp denies what it does not list',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: '45',
    attack: 'add_key into keyrings, which no namespace separates',
    call: ['add-key'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: '46-alg',
    attack: 'a socket of AF_ALG (CVE-2026-31431)',
    call: ['socket', '38', '5', '0'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
    held: /^(EAFNOSUPPORT|EPERM)$/,
  },
  {
    id: '46-vsock',
    attack: 'a socket of AF_VSOCK, to the hypervisor',
    call: ['socket', '40', '1', '0'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
    held: /^(EAFNOSUPPORT|EPERM)$/,
  },
  {
    id: '46-uring',
    attack: 'io_uring',
    call: ['io-uring'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: '46-uffd',
    attack: 'userfaultfd',
    call: ['userfaultfd'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: '46-perf',
    attack: 'perf events',
    call: ['perf'],
    walls: 'seccomp',
    oracle: perfParanoid > 2 ? hostPowers('CAP_SYS_ADMIN') : noFilter,
    onHost: true,
    absent: /^(EACCES|ENOSYS)$/,
  },
  {
    id: '46-bpf',
    attack: 'a BPF program',
    call: ['bpf'],
    walls: 'no capability over the host, seccomp',
    oracle: hostPowers('CAP_BPF', 'CAP_SYS_ADMIN'),
    alone: [idsWall, ...callWalls('CAP_BPF', 'CAP_SYS_ADMIN')],
  },
  {
    id: '48',
    attack: 'TIOCSTI types into the terminal (CVE-2017-5226)',
    call: ['tiocsti'],
    options: inTerminal,
    walls: 'seccomp, a terminal of its own',
    oracle: noFilter,
  },
  {
    id: '48-high',
    attack: 'TIOCSTI with high bits set, which the kernel ignores (CVE-2019-10063)',
    call: ['tiocsti-high'],
    options: inTerminal,
    walls: 'the filter compares the low word',
    oracle: noFilter,
  },
  {
    id: '65-mount',
    attack: 'mount',
    call: ['mount'],
    walls: 'no capability, seccomp, Landlock',
    oracle: admin,
    alone: [...adminWalls, landlockWall],
  },
  {
    id: '65-umount',
    attack: 'umount what covers a masked path',
    call: ['umount', '/proc/timer_list'],
    walls: 'no capability, seccomp, Landlock',
    oracle: admin,
    alone: [...adminWalls, landlockWall],
  },
  {
    id: '65-hostname',
    attack: 'sethostname',
    call: ['hostname', 'other'],
    walls: 'no capability, seccomp',
    oracle: admin,
    alone: adminWalls,
  },
  {
    id: '65-setns',
    attack: 'setns into its own mount namespace, which resets the root',
    call: ['setns-own'],
    walls: 'no capability, seccomp',
    oracle: admin,
    alone: adminWalls,
  },
  {
    id: '65-swapon',
    attack: 'swapon',
    call: ['swapon'],
    walls: 'user namespace, no capability, seccomp',
    oracle: hostPowers('CAP_SYS_ADMIN'),
    alone: [idsWall, ...callWalls('CAP_SYS_ADMIN')],
    broken: /^ENOENT$/,
  },
  {
    id: '65-quota',
    attack: 'quotactl',
    call: ['quota'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: '70',
    attack: 'RLIMIT_CORE 0, with which each crash starts the host’s core handler',
    call: ['prlimit', '4', '0'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
];

export const catalogueCalls: readonly Check[] = calls.flatMap(callChecks);
