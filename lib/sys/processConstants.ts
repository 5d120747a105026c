/** `prctl`, those options whose arguments and result are integers: prctl(2). */
export const Prctl = {
  /** Signal sent when the parent thread ends; 0 for none. */
  PR_SET_PDEATHSIG: 1,
  /** Whether the process can be traced and dumps core. */
  PR_GET_DUMPABLE: 3,
  /** Set that to 0 or 1; 0 also gives /proc/pid to root. */
  PR_SET_DUMPABLE: 4,
  /** Whether permitted capabilities survive the change of all ids from 0. */
  PR_GET_KEEPCAPS: 7,
  /** Set that; exec clears it. */
  PR_SET_KEEPCAPS: 8,
  /** Seccomp mode: 0 none, 2 filter. */
  PR_GET_SECCOMP: 21,
  /** Whether a capability is in the bounding set. */
  PR_CAPBSET_READ: 23,
  /** Take a capability out of the bounding set, for good. */
  PR_CAPBSET_DROP: 24,
  /** The secure bits: capabilities(7). */
  PR_GET_SECUREBITS: 27,
  /** Set them. */
  PR_SET_SECUREBITS: 28,
  /** Slack of timers, in nanoseconds; 0 for the default. */
  PR_SET_TIMERSLACK: 29,
  /** The slack of timers. */
  PR_GET_TIMERSLACK: 30,
  /** Orphaned descendants become children of this process. */
  PR_SET_CHILD_SUBREAPER: 36,
  /** Exec grants nothing from now on; cannot be taken back. */
  PR_SET_NO_NEW_PRIVS: 38,
  /** Whether that is set. */
  PR_GET_NO_NEW_PRIVS: 39,
  /** No transparent huge pages. */
  PR_SET_THP_DISABLE: 41,
  /** Whether that is set. */
  PR_GET_THP_DISABLE: 42,
  /** Ambient capabilities: arg2 one of `CapAmbient`, arg3 the capability. */
  PR_CAP_AMBIENT: 47,
  /** State of a speculation misfeature: arg2 which. */
  PR_GET_SPECULATION_CTRL: 52,
  /** Turn it on or off: arg2 which, arg3 how. */
  PR_SET_SPECULATION_CTRL: 53,
  /** Who may trace this process under Yama: a pid, or 2^64-1 for anyone. */
  PR_SET_PTRACER: 0x59616d61,
} as const;

/** `prctl(Prctl.PR_CAP_AMBIENT, …)`: PR_CAP_AMBIENT(2const). */
export const CapAmbient = {
  /** Whether the capability is in the set. */
  PR_CAP_AMBIENT_IS_SET: 1,
  /** Add it; it must be permitted and inheritable. */
  PR_CAP_AMBIENT_RAISE: 2,
  /** Take it out. */
  PR_CAP_AMBIENT_LOWER: 3,
  /** Take all out; arg3 is 0. */
  PR_CAP_AMBIENT_CLEAR_ALL: 4,
} as const;

/** `seccompSetModeFilter`: seccomp(2). */
export const Seccomp = {
  /** All threads of the process get the filter, or none. */
  SECCOMP_FILTER_FLAG_TSYNC: 0x1,
  /** Log every action but allow, where the system logs it. */
  SECCOMP_FILTER_FLAG_LOG: 0x2,
  /** Leave the mitigation of speculative store bypass off. */
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 0x4,
  /** Return a descriptor on which a supervisor gets notifications. */
  SECCOMP_FILTER_FLAG_NEW_LISTENER: 0x8,
  /** With TSYNC: a thread that cannot follow is ESRCH. */
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH: 0x10,
  /** A notified call can be ended by fatal signals only (Linux 5.19). */
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 0x20,
} as const;

/** `prlimit`: getrlimit(2). Numbers of x86-64 and aarch64. */
export const Rlimit = {
  /** CPU time, seconds: SIGXCPU at the soft limit, SIGKILL at the hard one. */
  RLIMIT_CPU: 0,
  /** Size of a file that is written, bytes. */
  RLIMIT_FSIZE: 1,
  /** Data segment, bytes. */
  RLIMIT_DATA: 2,
  /** Stack of the main thread, bytes. */
  RLIMIT_STACK: 3,
  /** Core file, bytes. */
  RLIMIT_CORE: 4,
  /** Resident set, bytes; without effect. */
  RLIMIT_RSS: 5,
  /** Threads of the real user id. */
  RLIMIT_NPROC: 6,
  /** Highest descriptor number, plus one. */
  RLIMIT_NOFILE: 7,
  /** Locked memory, bytes. */
  RLIMIT_MEMLOCK: 8,
  /** Address space, bytes. */
  RLIMIT_AS: 9,
  /** File locks; without effect. */
  RLIMIT_LOCKS: 10,
  /** Queued signals of the real user id. */
  RLIMIT_SIGPENDING: 11,
  /** POSIX message queues of the real user id, bytes. */
  RLIMIT_MSGQUEUE: 12,
  /** Ceiling of the nice value, as 20 minus nice. */
  RLIMIT_NICE: 13,
  /** Highest real-time priority. */
  RLIMIT_RTPRIO: 14,
  /** CPU time of a real-time thread without a blocking call, microseconds. */
  RLIMIT_RTTIME: 15,
} as const;

/** No limit. */
export const RLIM_INFINITY = 2n ** 64n - 1n;

/** `pidfdOpen`: pidfd_open(2). */
export const PidfdFlags = {
  /** waitid on it does not wait. */
  PIDFD_NONBLOCK: 0x800,
} as const;

/** `memfdCreate`: memfd_create(2). */
export const MemfdFlags = {
  /** Close-on-exec. */
  MFD_CLOEXEC: 0x1,
  /** Seals may be set. */
  MFD_ALLOW_SEALING: 0x2,
  /** In huge pages. */
  MFD_HUGETLB: 0x4,
  /** Not executable, and sealed so (Linux 6.3). */
  MFD_NOEXEC_SEAL: 0x8,
  /** Executable, whatever sysctl vm.memfd_noexec prefers (Linux 6.3). */
  MFD_EXEC: 0x10,
} as const;

/** `socketpair`: socket(2). */
export const SocketType = {
  /** A stream of bytes. */
  SOCK_STREAM: 1,
  /** Messages. */
  SOCK_DGRAM: 2,
  /** Messages, with an end of the connection. */
  SOCK_SEQPACKET: 5,
  /** Neither reads nor writes wait. */
  SOCK_NONBLOCK: 0x800,
  /** Close-on-exec. */
  SOCK_CLOEXEC: 0x80000,
} as const;

/** `fstatfsMagic`: statfs(2), linux/magic.h. */
export const FsMagic = {
  /** cgroup v1. */
  CGROUP_SUPER_MAGIC: 0x27e0eb,
  /** cgroup v2. */
  CGROUP2_SUPER_MAGIC: 0x63677270,
  /** tmpfs, and devtmpfs. */
  TMPFS_MAGIC: 0x1021994,
  /** devpts. */
  DEVPTS_SUPER_MAGIC: 0x1cd1,
  /** proc. */
  PROC_SUPER_MAGIC: 0x9fa0,
  /** sysfs. */
  SYSFS_MAGIC: 0x62656572,
  /** Files of namespaces, as in /proc/pid/ns. */
  NSFS_MAGIC: 0x6e736673,
  /** overlay. */
  OVERLAYFS_SUPER_MAGIC: 0x794c7630,
} as const;
