import { tmpfsBounds } from './mountString.js';
import { namespaceMode } from './namespaces.js';
import type { SpecMount, SpecNamespace, SpecRlimit } from './types.js';

/** PATH where no environment is given, and of a program search where it has none. */
export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Limits of a container that names none: bytes of memory, tasks. Swap is 0. */
export const defaultLimits = { memory: 512 * 1024 * 1024, pids: 256 } as const;

/**
 * Above the 0 that the host's programs have, so that the guest dies first.
 * @see proc_pid_oom_score_adj(5)
 */
export const defaultOomScoreAdj = 500;

/** @see umask(2) */
export const defaultUmask = 0o022;

/**
 * Resource limits unless given. CORE is 1, not 0: only 1 keeps the kernel from starting a piped
 * core_pattern's handler on the host. What is pending counts against the user who made the
 * container, too (ucounts): all of root's quota would leave the host's root no timer. @see core(5),
 * getrlimit(2)
 */
export const defaultRlimits: readonly SpecRlimit[] = [
  { type: 'RLIMIT_CORE', soft: 1, hard: 1 },
  { type: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 },
  { type: 'RLIMIT_MEMLOCK', soft: 65536, hard: 65536 },
  { type: 'RLIMIT_MSGQUEUE', soft: 0, hard: 0 },
  { type: 'RLIMIT_NICE', soft: 0, hard: 0 },
  { type: 'RLIMIT_RTPRIO', soft: 0, hard: 0 },
  { type: 'RLIMIT_SIGPENDING', soft: 1024, hard: 1024 },
];

/** `capabilities: 'image'`: what programs in container images are usually built to expect. */
export const imageCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
];

/** Hidden unless `maskedPaths` is given: what leaks or steers the host. `cpu*` is every CPU. */
export const defaultMaskedPaths: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/pressure',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
  '/sys/devices/system/cpu/cpu*/thermal_throttle',
];

/** Read-only unless `readonlyPaths` is given. */
export const defaultReadonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

const kernelFlags = ['nosuid', 'noexec', 'nodev'] as const;

const devMounts: readonly SpecMount[] = [
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'noexec', 'mode=755', 'size=64k', 'nr_inodes=1k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    // Without max= one container could take every terminal that the host may have.
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'max=256'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: [...kernelFlags, 'mode=1777', ...tmpfsBounds],
  },
];

/**
 * The mounts every root gets. proc, sysfs and mqueue show the namespace they are mounted from, so
 * each is there only where that namespace may be shown: proc unless the pid namespace is the
 * host's, sysfs and mqueue where theirs is new.
 */
export function kernelMounts(namespaces: readonly SpecNamespace[]): SpecMount[] {
  const mounts: SpecMount[] = [];
  if (namespaceMode(namespaces, 'pid') !== 'host') {
    mounts.push({ destination: '/proc', type: 'proc', source: 'proc', options: [...kernelFlags] });
  }
  mounts.push(...devMounts);
  if (namespaceMode(namespaces, 'ipc') === 'new') {
    const options = [...kernelFlags];
    mounts.push({ destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options });
  }
  if (namespaceMode(namespaces, 'network') === 'new') {
    const options = ['ro', ...kernelFlags];
    mounts.push({ destination: '/sys', type: 'sysfs', source: 'sysfs', options });
  }
  return mounts;
}

/** The private writable directories of a `rootfs: 'host'` container; they vanish with it. */
export function privateMounts(home: { path: string; options: readonly string[] }): SpecMount[] {
  const modes = [
    { destination: '/tmp', options: ['mode=1777'] },
    { destination: '/var/tmp', options: ['mode=1777'] },
    { destination: '/run', options: ['mode=755'] },
    { destination: home.path, options: home.options },
  ];
  return modes.map(({ destination, options }) => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', ...options, ...tmpfsBounds],
  }));
}
