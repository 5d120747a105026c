import type { Readable, Writable } from 'node:stream';
import type { IdMapping, Spec, SpecMount, SpecResources, SpecSeccomp } from './spec/types.js';

/** Bytes, or a string with a unit: `'512MiB'`, `'1GiB'`, `'64k'` (k, m, g are powers of 1024). */
export type Size = number | string;

/** A namespace: a new one, the host's, or one to join by path or by the pid of a member. */
export type NamespaceChoice = 'new' | 'host' | { path: string } | { pid: number };

/** Per-namespace choices; everything but `time` is `'new'` unless said otherwise. */
export interface NamespaceOptions {
  /** @see user_namespaces(7) */
  user?: NamespaceChoice | undefined;
  /** With `'host'` the container has no /proc: it would show the host's. @see pid_namespaces(7) */
  pid?: NamespaceChoice | undefined;
  /** @see mount_namespaces(7) */
  mount?: NamespaceChoice | undefined;
  /** @see network_namespaces(7) */
  net?: NamespaceChoice | undefined;
  /** @see ipc_namespaces(7) */
  ipc?: NamespaceChoice | undefined;
  /** @see uts_namespaces(7) */
  uts?: NamespaceChoice | undefined;
  /** @see cgroup_namespaces(7) */
  cgroup?: NamespaceChoice | undefined;
  /** Default `'host'`. @see time_namespaces(7) */
  time?: NamespaceChoice | undefined;
}

/** Reads and writes of one block device, per second. */
export interface IoLimit {
  /** Device node or `major:minor`. */
  device: string;
  readBps?: Size | undefined;
  writeBps?: Size | undefined;
  readIops?: number | undefined;
  writeIops?: number | undefined;
}

/** What a container may use. Counted for all its processes together unless said otherwise. */
export interface Limits {
  /**
   * RAM. Default `'512MiB'`. The kernel kills the whole container above it (`reason: 'oom'`); of one
   * that lives, the program that took it.
   */
  memory?: Size | undefined;
  /** Swap on top of `memory`. Default 0. */
  swap?: Size | undefined;
  /** CPUs' worth of time, as `docker --cpus`: 0.5 is half of one. Default: no quota. */
  cpus?: number | undefined;
  /** Share under contention, 1 to 10000. Default 100 (the kernel's own). */
  cpuWeight?: number | undefined;
  /** CPUs it may run on, such as `'0-1,3'`. */
  cpuset?: string | undefined;
  /** Tasks at once. Default 256. */
  pids?: number | undefined;
  io?: IoLimit[] | undefined;
  /** CPU time in ms; at the end of it everything is killed (`reason: 'cpu-time'`). */
  cpuTime?: number | undefined;
  /** Open files of one process (RLIMIT_NOFILE). Default 1024. */
  nofile?: number | undefined;
  /** Bytes of the largest file a process may write (RLIMIT_FSIZE). Default: unlimited. */
  fsize?: Size | undefined;
}

/** An overlay of directories: `lower` first entry on top, as `lowerdir=` has it. */
export interface OverlayRoot {
  /** Read-only layers, at least one. */
  lower: string[];
  /**
   * Kept writable layer; without it writes go to memory and are gone at the end. Of one container at
   * a time: what two do to one layer is undefined (overlayfs.rst).
   */
  upper?: string | undefined;
  /** Scratch directory on the same file system as `upper`; required with it. */
  work?: string | undefined;
  /** Size of the in-memory upper layer. Default `'64MiB'`. */
  size?: Size | undefined;
}

/** `'host'`, a directory, or an overlay. */
export type Rootfs = 'host' | string | OverlayRoot;

/** Capabilities: a list for every set but ambient and inheritable, or each set by itself. */
export type Capabilities =
  | string[]
  | Partial<Record<'bounding' | 'effective' | 'permitted' | 'inheritable' | 'ambient', string[]>>;

/** How a container is built. Everything has a default; `{}` is the safest container there is. */
export interface ContainerOptions {
  /** Root file system. Default `'host'`: the host's system directories, read-only. */
  rootfs?: Rootfs | undefined;
  /**
   * Whether the root is read-only. Default `true` for `'host'` and a directory, `false` for an
   * overlay. `false` with a directory writes into that directory.
   */
  readonly?: boolean | undefined;
  /**
   * OCI mounts or docker's `'./a:/b:ro'`; relative sources are taken from Node's cwd. Binds are
   * recursive, nosuid and nodev, a tmpfs is 64 MiB, unless their options say otherwise. At most
   * 1000, none at or below /proc but proc itself; one on a default mount's place replaces it.
   */
  mounts?: (SpecMount | string)[] | undefined;
  /** Mask these instead of the default list. */
  maskedPaths?: string[] | undefined;
  /** Make these read-only instead of the default list. */
  readonlyPaths?: string[] | undefined;
  /** Default: the container's id. */
  hostname?: string | undefined;
  domainname?: string | undefined;
  namespaces?: NamespaceOptions | undefined;
  /** Only loopback (`'none'`, the default) or the host's network (`'host'`). */
  network?: 'none' | 'host' | undefined;
  /** User namespace map; default: a range of its own. Host id 0 is refused. */
  uidMappings?: IdMapping[] | undefined;
  gidMappings?: IdMapping[] | undefined;
  /** Range that root takes containers' ids from. Default `{ hostID: 524288, size: 1878458368 }`. */
  idPool?: { hostID: number; size: number } | undefined;
  /** Offsets of a new time namespace, ms. */
  timeOffsets?: { monotonic?: number | undefined; boottime?: number | undefined } | undefined;
  /** `'none'` gives up all limits that need a cgroup; nothing else does. */
  limits?: Limits | 'none' | undefined;
  /** OCI `linux.resources` for what `limits` has no word for; `limits` wins where both speak. */
  resources?: SpecResources | undefined;
  /** cgroup to make the container's below, as in /proc/self/cgroup. Default: this process's own. */
  cgroupParent?: string | undefined;
  /** Default: none. `'image'` is the nine that container images are usually built for. */
  capabilities?: Capabilities | 'image' | undefined;
  /** Default `true`. */
  noNewPrivileges?: boolean | undefined;
  /** Docker or OCI JSON profile, `'default'` or `'unconfined'`. */
  seccomp?: 'default' | 'unconfined' | SpecSeccomp | Record<string, unknown> | undefined;
  /** Landlock as a second wall: on where the kernel has it (`'auto'`), required or off. */
  landlock?: 'auto' | 'require' | 'off' | undefined;
  /** AppArmor profile to execute under; an error where the host has no AppArmor. */
  apparmorProfile?: string | undefined;
  /** SELinux label to execute under; an error where the host has no SELinux. */
  selinuxLabel?: string | undefined;
  /**
   * Soft and hard limits by OCI name, such as `{ RLIMIT_STACK: 8388608 }` or `[soft, hard]`;
   * `Infinity` is no limit.
   */
  rlimits?: Record<string, number | [number, number]> | undefined;
  /**
   * −1000 to 1000; default 500, or this process's own if that is more, so that the guest dies before
   * the host's programs.
   */
  oomScoreAdj?: number | undefined;
  /** Namespaced sysctls, such as `{ 'net.ipv4.ip_unprivileged_port_start': '0' }`. */
  sysctl?: Record<string, string> | undefined;
  /** Our init as pid 1: reaps orphans, forwards signals. Default `true`. */
  init?: boolean | undefined;
  annotations?: Record<string, string> | undefined;
  /** Last word on the compiled spec; what it returns is validated again. */
  oci?: ((spec: Spec) => Spec) | undefined;
}

/** How one program is run. */
export interface ProcessOptions {
  /**
   * Default `'/'`; with `rootfs: 'host'` the private home, `/root` for uid 0 and `/home/user` for
   * any other. Of `exec` and `spawn`: the container's, and `'/'` for another user than the
   * container's. `HOME` is not set to it; do so in `env` for programs that ask.
   */
  cwd?: string | undefined;
  /**
   * The whole environment. Default: empty; nothing of the host's is ever inherited. Programs that
   * start others by name need a `PATH`, such as `defaultPath`. As in child_process, a variable
   * whose value is `undefined` is left out.
   */
  env?: Record<string, string | undefined> | undefined;
  /** Default 0: the container's own root, which is nobody outside. */
  uid?: number | undefined;
  /** Default: `uid`'s group in the container's /etc/passwd, else 0. */
  gid?: number | undefined;
  /** Additional group ids. Default: none. */
  groups?: number[] | undefined;
  /** `'name'`, `'name:group'` or `'uid:gid'`, looked up in the container. Not with `uid`. */
  user?: string | undefined;
  /** File mode creation mask. Default 0o022. */
  umask?: number | undefined;
}

/** Where one of the program's standard streams goes. */
export type StdioChoice = 'pipe' | 'inherit' | 'ignore' | number | Readable | Writable;

/** How one program is fed, read, timed and ended. */
export interface CompletionOptions {
  /** Wall-clock limit in ms (monotonic); then `killSignal`. Default, and 0: none. */
  timeout?: number | undefined;
  /**
   * Cancels the run: `killSignal`, then an error named `'AbortError'` with code `'ABORT_ERR'`, the
   * signal's reason as `cause`, and what there was as `result`.
   */
  signal?: AbortSignal | undefined;
  /** First signal of a timeout or abort. Default `'SIGTERM'`. */
  killSignal?: NodeJS.Signals | number | undefined;
  /**
   * ms between `killSignal` and SIGKILL for everything; default 5000; `false`: never. A program of a
   * container that lives which is still being set up then is given up (`false`: after 5000).
   */
  forceKillAfterDelay?: number | false | undefined;
  /**
   * Written to stdin, which is then closed. A guest need not read it all. A stream is consumed; if
   * it fails, the guest is killed and `run` throws `ERR_INPUT`.
   */
  input?: string | Uint8Array | Readable | undefined;
  /**
   * stdin, stdout, stderr. Default `'pipe'`, which for stdin without `input` is empty; one word
   * stands for all three. Only what is piped is in the result. A stream must have a descriptor,
   * such as an opened file's or a socket's.
   */
  stdio?: StdioChoice | [StdioChoice, StdioChoice, StdioChoice] | undefined;
  /** Most bytes kept of stdout and of stderr, each. Default 10 MiB. */
  maxBuffer?: Size | undefined;
  /**
   * Beyond `maxBuffer`: `'truncate'` (default) drops the rest, `'kill'` ends the program
   * (`reason: 'output'`), `'error'` ends it and throws `ERR_MAX_BUFFER`.
   */
  maxBufferAction?: 'truncate' | 'kill' | 'error' | undefined;
  /** `'utf8'` (default) for strings, `'buffer'` for Buffers, or another of Node's encodings. */
  encoding?: BufferEncoding | 'buffer' | undefined;
  /** Throw an `ExitError` when the program does not exit with 0. Default `false`. */
  reject?: boolean | undefined;
  /**
   * Give the program a terminal as stdio. With `stdio: 'inherit'` it is this process's own, in raw
   * mode; with `['ignore', 'inherit', 'inherit']` only what the program prints is relayed.
   */
  pty?: { cols: number; rows: number } | undefined;
}

/** Options of `run`. */
export interface RunOptions extends ContainerOptions, ProcessOptions, CompletionOptions {}

/** How much output of a detached container is kept: `maxSize` times `maxFiles` at most. */
export interface LogLimits {
  /** Bytes of one file, at least 64 KiB. Default `'10MiB'`. */
  maxSize?: Size | undefined;
  /** Files, 1 to 100, the one that is written included; the oldest goes first. Default 3. */
  maxFiles?: number | undefined;
}

/** Options of `createContainer`. */
export interface CreateOptions extends ContainerOptions, ProcessOptions {
  /** 1 to 64 letters, digits, `_` or `-`. Default: 12 random hexadecimal digits. */
  id?: string | undefined;
  /**
   * The program that the container lives for, as argv: it is pid 1 (unless `init: true`) and the
   * container ends with it, as OCI has it. Default: none; our init is pid 1 and the container lives
   * until it is ended.
   */
  command?: readonly string[] | undefined;
  /** Streams of `command`, at `container.main`. Default `'ignore'`, see `detached`. */
  stdio?: StdioChoice | [StdioChoice, StdioChoice, StdioChoice] | undefined;
  /** Give `command` a terminal. */
  pty?: { cols: number; rows: number } | undefined;
  /**
   * The container survives this process: a launcher of its own stays as its monitor, and
   * `Container.open(id)` finds it again. What `command` prints is kept in files, for
   * `container.logs()`; its default `stdio` is then `['ignore', 'pipe', 'pipe']`, where `'pipe'` is
   * the monitor's. Not with `start: false`, nor with `limits.cpuTime`, which this process would have
   * to watch. The monitor stays in the cgroup and user of this process.
   */
  detached?: boolean | undefined;
  /** How much of the output of a detached `command` is kept. */
  logs?: LogLimits | undefined;
  /** With `false` everything of `command` is set up, and it waits for `container.start()`. */
  start?: boolean | undefined;
  /** Whatever you want to find it by; not seen inside. */
  labels?: Record<string, string> | undefined;
  /** Gives the creation up: nothing is left. Once there is a container, it is without effect. */
  signal?: AbortSignal | undefined;
}

/** What a program in a container may use of what the container may, counted for all it starts. */
export type ProgramLimits = Limits;

/** Options of `container.exec`. What is not said is as the container was created. */
export interface ExecOptions extends ProcessOptions, CompletionOptions {
  /** Limits of its own within the container's. Default: none. */
  limits?: ProgramLimits | undefined;
}

/** Options of `container.spawn`. What is not said is as the container was created. */
export interface SpawnOptions extends Omit<ProcessOptions, 'cwd' | 'env'> {
  /** As of `exec`; child_process's `file:` URL and `null` are taken, too. */
  cwd?: string | URL | null | undefined;
  /** As of `exec`; a number is its digits, as in child_process. */
  env?: Record<string, string | number | undefined> | undefined;
  /** Limits of its own within the container's. Default: none. */
  limits?: ProgramLimits | undefined;
  /**
   * stdin, stdout, stderr; one word stands for all three. Default `'pipe'`, also where an entry is
   * missing. A stream must have a descriptor. There is no `'ipc'`, and no fourth.
   */
  stdio?: StdioChoice | readonly (StdioChoice | null | undefined)[] | undefined;
  /** A terminal as stdio: what it prints comes as stdout, and through `onData`. */
  pty?: { cols: number; rows: number } | undefined;
  /** Wall-clock limit in ms (monotonic); then `killSignal`. Default, and 0: none. */
  timeout?: number | undefined;
  /** Ends it with `killSignal` when aborted, and emits `'error'` with an AbortError, as Node does. */
  signal?: AbortSignal | undefined;
  /** First signal of a timeout or abort. Default `'SIGTERM'`. */
  killSignal?: NodeJS.Signals | number | undefined;
  /**
   * ms between `killSignal` and SIGKILL for everything; default 5000; `false`: never. A program of a
   * container that lives which is still being set up then is given up (`false`: after 5000).
   */
  forceKillAfterDelay?: number | false | undefined;
  /** Says nothing here; child_process's callers often pass it. */
  windowsHide?: boolean | undefined;
}

/**
 * Limits that `container.update` can change; `null` takes one away. `cpuset` needs a
 * container that was created with one: else it may have no cgroup for it (`ERR_CGROUP_UNAVAILABLE`).
 */
export type LimitsUpdate = {
  [Name in 'memory' | 'swap' | 'cpus' | 'cpuWeight' | 'cpuset' | 'pids' | 'io']?:
    | Limits[Name]
    | (Name extends 'memory' | 'cpus' | 'pids' ? null : never)
    | undefined;
};
