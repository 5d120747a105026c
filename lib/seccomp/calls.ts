/**
 * The system calls that the default profile allows to everyone, by purpose. What is not listed is
 * denied; test/unit/seccompDefault.test.ts holds a decision about every call of both machines.
 */
export const allowed: readonly (readonly [reason: string, names: string])[] = [
  [
    'start, end and await processes and threads; clone is in the rules, clone3 cannot be checked',
    `execve execveat exit exit_group fork vfork wait4 waitid set_tid_address restart_syscall
    pidfd_open pidfd_send_signal process_mrelease`,
  ],
  [
    'who one is: only reads, or changes that the kernel permits by capability and no_new_privs',
    `getpid gettid getppid getuid geteuid getgid getegid getgroups getresuid getresgid setuid setgid
    setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capget capset getpgid getpgrp
    setpgid getsid setsid umask`,
  ],
  [
    'attributes of the own process; walls that it puts around itself only narrow',
    `prctl arch_prctl seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
    lsm_get_self_attr lsm_list_modules`,
  ],
  [
    'signals; the pid namespace bounds whom they reach',
    `kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo rt_sigaction rt_sigprocmask rt_sigpending
    rt_sigsuspend rt_sigtimedwait rt_sigreturn sigaltstack signalfd signalfd4 pause`,
  ],
  [
    'scheduling, within the resource limits and the cgroup',
    `sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam
    sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max
    sched_get_priority_min sched_rr_get_interval getpriority setpriority ioprio_get ioprio_set
    getcpu membarrier rseq rseq_slice_yield`,
  ],
  [
    'resource limits and usage; what concerns core files is in the rules',
    'getrlimit getrusage sysinfo times uname',
  ],
  [
    'own memory; all of it is charged to the cgroup, but for huge pages, which the rules leave out',
    `brk munmap mremap mprotect pkey_alloc pkey_free pkey_mprotect madvise mincore msync mlock
    mlock2 mlockall munlock munlockall mseal map_shadow_stack`,
  ],
  [
    'locks between threads',
    `futex futex_waitv futex_wait futex_wake futex_requeue set_robust_list get_robust_list`,
  ],
  [
    'open, read and write files',
    `open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv
    pwritev preadv2 pwritev2 lseek dup dup2 dup3 fcntl flock fsync fdatasync sync syncfs
    sync_file_range truncate ftruncate fallocate fadvise64 readahead cachestat copy_file_range
    sendfile splice tee pipe pipe2`,
  ],
  [
    'names and attributes of files; mknod is how FIFOs are made, devices need a capability',
    `access faccessat faccessat2 stat lstat fstat newfstatat statx statfs fstatfs readlink
    readlinkat getdents getdents64 getcwd chdir fchdir mkdir mkdirat rmdir mknod mknodat link linkat
    symlink symlinkat unlink unlinkat rename renameat renameat2 chmod fchmod fchmodat fchmodat2
    chown fchown lchown fchownat utime utimes futimesat utimensat file_getattr file_setattr`,
  ],
  [
    'extended attributes; those with power over others need a capability',
    `getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr
    llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat`,
  ],
  ['the mounts one has, which /proc/self/mountinfo shows as well', 'statmount listmount'],
  [
    'wait for events',
    `select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
    epoll_pwait2 eventfd eventfd2 inotify_init inotify_init1 inotify_add_watch inotify_rm_watch`,
  ],
  [
    'read clocks, sleep, timers',
    `time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep alarm getitimer
    setitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete
    timerfd_create timerfd_settime timerfd_gettime`,
  ],
  [
    'sockets that exist; which can be made is in the rules',
    `bind connect listen accept accept4 shutdown getsockname getpeername getsockopt
    sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg`,
  ],
  [
    'System V IPC and message queues, in the own ipc namespace',
    `shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open
    mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr`,
  ],
  ['random numbers', 'getrandom'],
  [
    "returns from probes that the host's tracers put into the program; a denial would crash it",
    'uretprobe uprobe',
  ],
];

/**
 * What a capability opens besides. Never opened, because they reach beyond any namespace or are
 * known for their faults: modules, kexec, reboot, swap, keyrings, io_uring, userfaultfd, vmsplice,
 * memfd_secret (fragments the host's memory map), modify_ldt, and the io_submit family: its contexts
 * are taken from one number for the whole host (fs.aio-max-nr), which no limit divides.
 */
export const gated: Readonly<Record<string, string>> = {
  CAP_SYS_ADMIN: `mount umount2 pivot_root fsopen fsconfig fsmount fspick open_tree open_tree_attr
    move_mount mount_setattr unshare setns clone clone3 sethostname setdomainname fanotify_init
    fanotify_mark quotactl quotactl_fd listns`,
  CAP_SYS_PTRACE: `ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd`,
  CAP_SYS_CHROOT: 'chroot',
  CAP_DAC_READ_SEARCH: 'name_to_handle_at open_by_handle_at',
  CAP_SYS_TIME: 'clock_settime clock_adjtime adjtimex settimeofday',
  CAP_SYS_NICE: `get_mempolicy set_mempolicy set_mempolicy_home_node mbind move_pages
    migrate_pages`,
  CAP_SYSLOG: 'syslog',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_RAWIO: 'ioperm iopl',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};
