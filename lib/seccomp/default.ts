import { allowed, gated } from './calls.js';
import type { OciSeccomp, SeccompArgument, SeccompSyscall } from './profile.js';
import { errno } from './words.js';

/** CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET; clone(2) cannot make time namespaces. */
const newNamespaces = 0x7e020000;

/** asm-generic/ioctls.h: what types into a terminal, and what loads a line discipline. */
const refusedIoctls = { TIOCSTI: 0x5412, TIOCLINUX: 0x541c, TIOCSETD: 0x5423 };

/** Domains of socket(2). */
const family = { unix: 1, netlink: 16, packet: 17 };

/** AF_INET (2) and AF_INET6 (10): they differ in one bit. */
const internet: SeccompArgument = {
  index: 0,
  value: 0xfffffff7,
  valueTwo: 2,
  op: 'SCMP_CMP_MASKED_EQ',
};

/** SOCK_* and the IPPROTO_* that programs use with it: TCP, MPTCP; UDP and ping's ICMP, ICMPv6. */
const transports = [
  { type: 1, protocols: [0, 6, 262] },
  { type: 2, protocols: [0, 17, 1, 58] },
];
const rawType = 3;

/** The values that tools such as setarch use: Linux, 32-bit Linux, UNAME26 with each, a query. */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** SO_ATTACH_FILTER, _BPF, _REUSEPORT_CBPF, _REUSEPORT_EBPF: compiled into memory of the host's. */
const socketFilters = { level: 1, names: [26, 50, 51, 52] };
const rlimitCore = 4;
/** MAP_HUGETLB of mmap, MFD_HUGETLB of memfd_create. */
const hugePages = { map: 0x40000, memfd: 4 };

/** Condition on an `int`; the kernel ignores its high word, so a filter must not look at it. */
function int(index: number, value: number): SeccompArgument {
  return { index, value: 0xffffffff, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' };
}

function allow(names: readonly string[], args?: SeccompArgument[]): SeccompSyscall {
  return { names: [...names], action: 'SCMP_ACT_ALLOW', ...(args && { args }) };
}

function deny(name: string, errnoRet: number, args?: SeccompArgument[]): SeccompSyscall {
  return { names: [name], action: 'SCMP_ACT_ERRNO', errnoRet, ...(args && { args }) };
}

function words(text: string): string[] {
  return text.split(/\s+/);
}

/**
 * The transports that programs use: with any other protocol or type the kernel loads the module
 * that has it (SCTP, DCCP, L2TP, SMC), whoever asks. Raw sockets need a capability anyway.
 */
function internetRules(): SeccompSyscall[] {
  // Above the lowest four bits are SOCK_NONBLOCK and SOCK_CLOEXEC.
  const isType = (type: number): SeccompArgument => ({
    index: 1,
    value: 0xf,
    valueTwo: type,
    op: 'SCMP_CMP_MASKED_EQ',
  });
  return [
    ...transports.flatMap(({ type, protocols }) =>
      protocols.map((protocol) => allow(['socket'], [internet, isType(type), int(2, protocol)])),
    ),
    allow(['socket'], [internet, isType(rawType)]),
    deny('socket', errno.EPROTONOSUPPORT, [internet]),
  ];
}

/**
 * Sockets of the own network and between programs; the rest seems not to be built in. Netlink only
 * with CAP_NET_ADMIN: replies that wait in its sockets are charged to no cgroup, so that one
 * container could fill the host's memory with them.
 */
function socketRules(capabilities: ReadonlySet<string>): SeccompSyscall[] {
  const families = [family.unix];
  if (capabilities.has('CAP_NET_RAW')) families.push(family.packet);
  if (capabilities.has('CAP_NET_ADMIN')) families.push(family.netlink);
  return [
    ...families.map((domain) => allow(['socket'], [int(0, domain)])),
    ...internetRules(),
    deny('socket', errno.EAFNOSUPPORT),
    // Not only AF_UNIX has pairs: AF_TIPC, too.
    allow(['socketpair'], [int(0, family.unix)]),
    deny('socketpair', errno.EAFNOSUPPORT),
    ...socketFilters.names.map((name) =>
      deny('setsockopt', errno.EPERM, [int(1, socketFilters.level), int(2, name)]),
    ),
    allow(['setsockopt']),
  ];
}

function flag(index: number, bit: number): SeccompArgument {
  return { index, value: bit, valueTwo: bit, op: 'SCMP_CMP_MASKED_EQ' };
}

/** No pages of the host's pool of huge ones: no limit of memory counts them (hugetlbpage.rst). */
function memoryRules(): SeccompSyscall[] {
  return [
    // As if the pool were empty, and as if the kernel had none.
    deny('mmap', errno.ENOMEM, [flag(3, hugePages.map)]),
    deny('memfd_create', errno.ENOSYS, [flag(1, hugePages.memfd)]),
    allow(['mmap', 'memfd_create']),
  ];
}

/** No new namespaces, where CAP_SYS_ADMIN does not open all of clone. */
function cloneRules(): SeccompSyscall[] {
  const flags: SeccompArgument = {
    index: 0,
    value: newNamespaces,
    valueTwo: 0,
    op: 'SCMP_CMP_MASKED_EQ',
  };
  // Its flags are behind a pointer; C libraries fall back to clone on ENOSYS.
  return [allow(['clone'], [flags]), deny('clone3', errno.ENOSYS)];
}

/** RLIMIT_CORE stays 1, which alone keeps the host's core handler from being started (core(5)). */
function coreRules(): SeccompSyscall[] {
  const setsLimit: SeccompArgument = { index: 2, value: 0, op: 'SCMP_CMP_NE' };
  return [
    deny('setrlimit', errno.EPERM, [int(0, rlimitCore)]),
    deny('prlimit64', errno.EPERM, [int(1, rlimitCore), setsLimit]),
    // Our init has the ids of the container's root, and hands its limits on.
    deny('prlimit64', errno.EPERM, [{ index: 0, value: 0, op: 'SCMP_CMP_NE' }, setsLimit]),
    allow(['setrlimit', 'prlimit64']),
  ];
}

/**
 * Our own default profile: an allow list, EPERM for the rest of the known calls, ENOSYS for unknown
 * ones, the machine's own ABI only. Its rules with conditions are meant as `compileSeccomp` reads
 * them, before those without; libseccomp would drop the denials of ioctl and prlimit64.
 * @param capabilities bounding set, full names: each opens the calls that are of no use without it
 */
export function defaultProfile({
  capabilities = [],
}: {
  capabilities?: readonly string[];
} = {}): OciSeccomp {
  const held = new Set(capabilities);
  const opened = Object.entries(gated).filter(([capability]) => held.has(capability));
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: errno.EPERM,
    syscalls: [
      ...allowed.map(([, names]) => allow(words(names))),
      ...opened.map(([, names]) => allow(words(names))),
      ...socketRules(held),
      ...(held.has('CAP_SYS_ADMIN') ? [] : cloneRules()),
      // Programs with asynchronous I/O do without it where the kernel was built so.
      deny('io_setup', errno.ENOSYS),
      ...memoryRules(),
      ...coreRules(),
      ...Object.values(refusedIoctls).map((request) =>
        deny('ioctl', errno.EPERM, [int(1, request)]),
      ),
      allow(['ioctl']),
      ...personalities.map((persona) => allow(['personality'], [int(0, persona)])),
    ],
  };
}
