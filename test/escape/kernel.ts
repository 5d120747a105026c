import type { TextOptions } from '../helpers/containers.js';
import type { Requirement } from '../helpers/requirements.js';
import type { Check, Opening } from './check.js';
import { hostPowers, noFilter, powers, x86 } from './openings.js';

/** A call that the probe makes: refused in a container, let through where its walls are gone. */
interface Call {
  id: string;
  attack: string;
  /** The probe's arguments. */
  call: readonly string[];
  walls: string;
  oracle: Opening;
  options?: TextOptions;
  held?: RegExp;
  broken?: RegExp;
  /** Whether the host's user may make the call, without any harm. */
  onHost?: true;
  absent?: RegExp;
  needs?: readonly Requirement[];
}

/** What a denied call answers. */
const denied = /^(EPERM|ENOSYS|EACCES)$/;
/** What a kernel answers that was built without it. */
const notBuilt = /^(ENOSYS|EAFNOSUPPORT|EPROTONOSUPPORT|ESOCKTNOSUPPORT|EOPNOTSUPP|EIO)$/;

/** A check of one call of the probe's. */
export function callCheck(row: Call): Check {
  const { id, attack, call, walls, oracle, options, needs } = row;
  return {
    id,
    attack,
    walls,
    ...(needs && { needs }),
    ...(row.onHost && { control: (bench) => bench.host(...call) }),
    attempt: (bench, opening) => bench.guest(call, opening, options),
    held: row.held ?? denied,
    broken: row.broken ?? /ok$/,
    absent: row.absent ?? notBuilt,
    oracle,
  };
}

const admin = powers('CAP_SYS_ADMIN', 'CAP_SYS_CHROOT');
const pty: TextOptions = { pty: { cols: 80, rows: 24 } };
/** The probe's words for the flags of namespaces(7). */
const newUser = '0x10000000';

const calls: readonly Call[] = [
  {
    id: '39',
    attack: 'mount a cgroup hierarchy, for its release_agent (CVE-2022-0492)',
    call: ['mount', 'cgroup2'],
    walls: 'no capability, seccomp, Landlock',
    oracle: admin,
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
    oracle: noFilter,
    onHost: true,
  },
  {
    id: '46-bpf',
    attack: 'a BPF program',
    call: ['bpf'],
    walls: 'no capability over the host, seccomp',
    oracle: hostPowers('CAP_BPF', 'CAP_SYS_ADMIN'),
  },
  {
    id: '48',
    attack: 'TIOCSTI types into the terminal (CVE-2017-5226)',
    call: ['tiocsti'],
    options: pty,
    walls: 'seccomp, a terminal of its own',
    oracle: noFilter,
  },
  {
    id: '48-high',
    attack: 'TIOCSTI with high bits set, which the kernel ignores (CVE-2019-10063)',
    call: ['tiocsti-high'],
    options: pty,
    walls: 'the filter compares the low word',
    oracle: noFilter,
  },
  {
    id: '65-mount',
    attack: 'mount',
    call: ['mount'],
    walls: 'no capability, seccomp, Landlock',
    oracle: admin,
  },
  {
    id: '65-umount',
    attack: 'umount what covers a masked path',
    call: ['umount', '/proc/timer_list'],
    walls: 'no capability, seccomp, Landlock',
    oracle: admin,
  },
  {
    id: '65-hostname',
    attack: 'sethostname',
    call: ['hostname', 'other'],
    walls: 'no capability, seccomp',
    oracle: admin,
  },
  {
    id: '65-setns',
    attack: 'setns into its own mount namespace, which resets the root',
    call: ['setns-own'],
    walls: 'no capability, seccomp',
    oracle: admin,
  },
  {
    id: '65-swapon',
    attack: 'swapon',
    call: ['swapon'],
    walls: 'user namespace, no capability, seccomp',
    oracle: hostPowers('CAP_SYS_ADMIN'),
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

const own: readonly Call[] = [
  {
    id: 'r-timens',
    attack: 'a time namespace by unshare',
    call: ['unshare', '0x80'],
    walls: 'no capability, seccomp',
    oracle: admin,
  },
  {
    id: 'r-getfd',
    attack: 'pidfd_getfd from a process of the same user',
    call: ['pidfd-getfd', '0'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-vm',
    attack: 'process_vm_readv of a process of the same user',
    call: ['vm-read'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-prlimit',
    attack: 'prlimit on another process, our init’s among them',
    call: ['prlimit-other'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-kcmp',
    attack: 'kcmp, which tells where kernel objects lie',
    call: ['kcmp'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-secret',
    attack: 'memfd_secret, which breaks up the host’s memory map',
    call: ['memfd-secret'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-vmsplice',
    attack: 'vmsplice (CVE-2020-29374)',
    call: ['vmsplice'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-fanotify',
    attack: 'fanotify on the host’s file systems',
    call: ['fanotify'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-handle',
    attack: 'name_to_handle_at, the first half of shocker',
    call: ['handle', '/usr'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-shocker',
    attack: 'open_by_handle_at, which knows no root directory (shocker.c)',
    call: ['handle', '/usr', 'open'],
    walls: 'user namespace, no capability, seccomp',
    oracle: hostPowers('CAP_DAC_READ_SEARCH'),
  },
  {
    id: 'r-persona',
    attack: 'personality(ADDR_NO_RANDOMIZE)',
    call: ['personality', '0x40000'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-dmesg',
    attack: 'the host’s kernel log by syslog',
    call: ['dmesg'],
    walls: 'user namespace, no capability, seccomp',
    oracle: hostPowers('CAP_SYSLOG', 'CAP_SYS_ADMIN'),
  },
  {
    id: 'r-clock',
    attack: 'clock_settime',
    call: ['set-clock'],
    walls: 'user namespace, no capability, seccomp',
    oracle: noFilter,
    broken: /^EINVAL$/,
    onHost: true,
  },
  {
    id: 'r-adjtime',
    attack: 'adjtimex',
    call: ['adjtime'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-reboot',
    attack: 'reboot',
    call: ['reboot'],
    walls: 'no capability, seccomp',
    oracle: powers('CAP_SYS_BOOT'),
    broken: /^EINVAL$/,
  },
  {
    id: 'r-module',
    attack: 'load a kernel module',
    call: ['module'],
    walls: 'user namespace, no capability, seccomp',
    oracle: hostPowers('CAP_SYS_MODULE'),
    broken: /^EBADF$/,
  },
  {
    id: 'r-audit',
    attack: 'a netlink socket to the audit subsystem',
    call: ['socket', '16', '3', '9'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
    held: /^(EAFNOSUPPORT|EPERM)$/,
  },
  {
    id: 'r-packet',
    attack: 'a packet socket',
    call: ['socket', '17', '3', '768'],
    walls: 'no capability, seccomp',
    oracle: powers('CAP_NET_RAW'),
    held: /^(EAFNOSUPPORT|EPERM)$/,
  },
  {
    id: 'r-filter',
    attack: 'a BPF filter on a socket, compiled into the host’s memory',
    call: ['attach-filter'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
  },
  {
    id: 'r-forge',
    attack: 'SCM_CREDENTIALS with another process’s id',
    call: ['forge'],
    walls: 'no capability',
    oracle: powers('CAP_SYS_ADMIN'),
  },
  {
    id: 'r-rt',
    attack: 'SCHED_FIFO, before everything else on its CPU',
    call: ['realtime'],
    onHost: true,
    // A cgroup of the v1 cpu controller has no time for it (RT_GROUP_SCHED), nor has an ordinary user.
    absent: /^EPERM$/,
    walls: 'user namespace, no capability, RLIMIT_RTPRIO 0',
    oracle: hostPowers('CAP_SYS_NICE'),
  },
  {
    id: 'r-ionice',
    attack: 'the real-time class of I/O',
    call: ['io-realtime'],
    walls: 'user namespace, no capability',
    oracle: hostPowers('CAP_SYS_NICE', 'CAP_SYS_ADMIN'),
  },
  {
    id: 'r-nice',
    attack: 'a nice value below 0',
    call: ['nice'],
    walls: 'user namespace, no capability, RLIMIT_NICE 0',
    oracle: hostPowers('CAP_SYS_NICE'),
  },
  {
    id: 'r-chroot',
    attack: 'chroot, the first half of leaving one',
    call: ['chroot', '/tmp'],
    walls: 'no capability, seccomp',
    oracle: admin,
  },
  {
    id: 'r-move',
    attack: 'move a mount over /proc',
    call: ['move-mount', '/tmp', '/proc'],
    walls: 'no capability, seccomp, Landlock',
    oracle: admin,
  },
  {
    id: 'r-disc',
    attack: 'TIOCSETD loads a line discipline',
    call: ['tiocsetd'],
    options: pty,
    walls: 'seccomp',
    oracle: noFilter,
  },
  {
    id: 'r-i386',
    attack: 'a call of the 32-bit ABI, whose numbers the filter does not know',
    call: ['i386'],
    walls: 'the filter looks at the architecture first',
    oracle: noFilter,
    onHost: true,
    held: /^(EPERM|ENOSYS|signal SIGSYS)$/,
    needs: [x86],
  },
  {
    id: 'r-x32',
    attack: 'a call of the x32 ABI',
    call: ['x32'],
    walls: 'the filter looks at bit 30 of the number',
    oracle: noFilter,
    onHost: true,
    held: /^(EPERM|ENOSYS|signal SIGSYS)$/,
    needs: [x86],
  },
  {
    id: 'r-ldt',
    attack: 'modify_ldt',
    call: ['ldt'],
    walls: 'seccomp',
    oracle: noFilter,
    onHost: true,
    needs: [x86],
  },
];

export const catalogueCalls: readonly Check[] = calls.map(callCheck);
export const ownCalls: readonly Check[] = own.map(callCheck);
