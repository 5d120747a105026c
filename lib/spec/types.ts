/**
 * The OCI runtime specification 1.2, Linux part: the pivot that options compile to and plans are
 * made from. Only what ringfort carries out is declared; a field that is not here is refused by
 * `validateSpec`, so nothing that was asked for is dropped in silence.
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md
 */
export interface Spec {
  ociVersion: string;
  root?: SpecRoot;
  mounts?: SpecMount[];
  process?: SpecProcess;
  hostname?: string;
  domainname?: string;
  annotations?: Record<string, string>;
  linux: SpecLinux;
}

/** The root file system. */
export interface SpecRoot {
  /** Absolute path; with `annotations['org.ringfort.rootfs']` of `host` or `overlay` not used as it stands. */
  path: string;
  readonly?: boolean;
}

/** One mount, in the order they are made. */
export interface SpecMount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
}

/** The program, and what it may do. */
export interface SpecProcess {
  terminal?: boolean;
  consoleSize?: { height: number; width: number };
  user: SpecUser;
  args: string[];
  env?: string[];
  cwd: string;
  capabilities?: SpecCapabilities;
  rlimits?: SpecRlimit[];
  noNewPrivileges?: boolean;
  oomScoreAdj?: number;
  apparmorProfile?: string;
  selinuxLabel?: string;
}

/** Ids in the container. */
export interface SpecUser {
  uid: number;
  gid: number;
  umask?: number;
  additionalGids?: number[];
}

/** Names such as `CAP_NET_BIND_SERVICE`. */
export interface SpecCapabilities {
  bounding?: string[];
  effective?: string[];
  permitted?: string[];
  inheritable?: string[];
  ambient?: string[];
}

/** A resource limit of the program. @see getrlimit(2) */
export interface SpecRlimit {
  /** `RLIMIT_NOFILE`, … */
  type: string;
  soft: number;
  hard: number;
}

/** One extent of a user namespace's map. */
export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

/** The kinds of namespace, by OCI's names. @see namespaces(7) */
export type NamespaceType =
  | 'user'
  | 'pid'
  | 'mount'
  | 'network'
  | 'ipc'
  | 'uts'
  | 'cgroup'
  | 'time';

/** A namespace of the container's, new or joined. */
export interface SpecNamespace {
  type: NamespaceType;
  /** Join this namespace instead of making one. */
  path?: string;
}

/** What is Linux's alone. */
export interface SpecLinux {
  /** Types that are not listed are shared with the host. */
  namespaces: SpecNamespace[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  timeOffsets?: Partial<Record<'monotonic' | 'boottime', { secs: number; nanosecs?: number }>>;
  cgroupsPath?: string;
  resources?: SpecResources;
  sysctl?: Record<string, string>;
  /** Absent: no filter (`seccomp: 'unconfined'`). */
  seccomp?: SpecSeccomp;
  maskedPaths?: string[];
  readonlyPaths?: string[];
}

/** OCI `linux.seccomp`; compiled by lib/seccomp. */
export interface SpecSeccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  flags?: string[];
  syscalls?: {
    names: string[];
    action: string;
    errnoRet?: number;
    args?: {
      index: number;
      value: number | bigint;
      valueTwo?: number | bigint;
      op: string;
    }[];
  }[];
}

/** OCI `linux.resources`. Memory in bytes, CPU quota and period in µs. */
export interface SpecResources {
  devices?: SpecDeviceRule[];
  memory?: {
    limit?: number;
    reservation?: number;
    /** Memory and swap together, as OCI has it; −1 is unlimited. */
    swap?: number;
    disableOOMKiller?: boolean;
  };
  cpu?: {
    shares?: number;
    quota?: number;
    burst?: number;
    period?: number;
    cpus?: string;
    mems?: string;
    idle?: number;
  };
  pids?: { limit: number };
  blockIO?: {
    weight?: number;
    throttleReadBpsDevice?: SpecThrottle[];
    throttleWriteBpsDevice?: SpecThrottle[];
    throttleReadIOPSDevice?: SpecThrottle[];
    throttleWriteIOPSDevice?: SpecThrottle[];
  };
  hugepageLimits?: { pageSize: string; limit: number }[];
  /** cgroup v2 files by name, written as they are. */
  unified?: Record<string, string>;
}

/** A rate of one block device: bytes or operations per second. */
export interface SpecThrottle {
  major: number;
  minor: number;
  rate: number;
}

/** Whether devices may be used; −1 or left out: every number. */
export interface SpecDeviceRule {
  allow: boolean;
  type?: 'a' | 'b' | 'c';
  major?: number;
  minor?: number;
  access?: string;
}
