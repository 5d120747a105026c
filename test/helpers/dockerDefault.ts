/**
 * Facts about docker's default profile, in our own form: what it does not allow to everyone. Of the
 * calls that our tables know on x86-64 and 64-bit ARM it allows all others, whatever their
 * arguments; its own lists are longer by what other machines have.
 * @see github.com/moby/profiles seccomp/default_linux.go at commit 02e898b1, read 2026-11-26
 */
export const source = { repository: 'moby/profiles', commit: '02e898b1', read: '2026-11-26' };

/** What a capability of the bounding set opens; a call under two of them needs one. */
const byCapability: Readonly<Record<string, string>> = {
  CAP_BPF: 'bpf',
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_PERFMON: 'perf_event_open',
  CAP_SYSLOG: 'syslog',
  CAP_SYS_ADMIN: `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
    lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree
    perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount2 unshare`,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module init_module finit_module',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise',
  CAP_SYS_RAWIO: 'iopl ioperm',
  CAP_SYS_TIME: 'settimeofday clock_settime',
  CAP_SYS_TTY_CONFIG: 'vhangup',
};

/** What nothing opens: it is on none of docker's lists. */
const never = `add_key afs_syscall create_module file_getattr file_setattr get_kernel_syms getpmsg
  io_uring_enter io_uring_register io_uring_setup kexec_file_load kexec_load keyctl listns
  migrate_pages move_pages nfsservctl open_tree_attr pivot_root putpmsg query_module request_key
  rseq_slice_yield security swapoff swapon sysfs _sysctl tuxcall uprobe uselib userfaultfd ustat
  vserver`.split(/\s+/);

/** Domains of socket(2) that have a number but are refused; those up to 11 are one range. */
const refusedDomains = [12, 19, 20, 23, 25, 34, 37, 38, 40];
const lastDomain = 45;
const personalities = [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn];
const newNamespaces = 0x7e020000n;

/** Whether everybody gets a call with these arguments. */
function toEveryone(name: string, [first = 0n]: readonly bigint[]): boolean {
  switch (name) {
    case 'socket':
      return first <= lastDomain && !refusedDomains.includes(Number(first));
    case 'personality':
      return personalities.includes(first);
    case 'clone':
      return (first & newNamespaces) === 0n;
    default:
      return !never.includes(name) && !gates(name).length;
  }
}

function gates(name: string): string[] {
  const lists = Object.entries(byCapability);
  return lists.filter(([, names]) => names.split(/\s+/).includes(name)).map(([gate]) => gate);
}

/** What docker answers: `yes`, or the errno. */
export function dockerAnswer(
  name: string,
  args: readonly bigint[],
  capabilities: readonly string[],
): string {
  if (toEveryone(name, args) || gates(name).some((gate) => capabilities.includes(gate)))
    return 'yes';
  return name === 'clone3' ? 'ENOSYS' : 'EPERM';
}

/** Every call that the table names. */
export const named: readonly string[] = [
  ...never,
  ...Object.values(byCapability).flatMap((names) => names.split(/\s+/)),
];
