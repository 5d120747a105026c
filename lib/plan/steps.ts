/**
 * Every step of a plan: one system call or one fixed idiom, with its arguments in the order of
 * native/steps.def. test/contract/steps.test.ts holds the two tables together.
 *
 * `dir` and `root` arguments are slots; with `slot.host` a path is resolved from the host's root.
 */

/** Slots every plan has without opening them (native/protocol.h). */
export const slot = {
  /** The host's root directory. */
  host: 0xfffffff0,
  /** The launcher's own view of proc. */
  proc: 0xfffffff1,
  /** The root of the small mount namespace that the child is born in. */
  home: 0xfffffff2,
  none: 0xffffffff,
  /** In a plan that joins a container: the first of its namespaces, in the order of `targets`. */
  target: 0xffffffe0,
} as const;

/** The namespaces of a container that a plan may join: slots `slot.target`, +1, … */
export const targets = ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'time'] as const;

/** What a plan is for (native/protocol.h, PlanFlag); 0 is a container of one program. */
export const planFlag = {
  /** A container whose init takes programs later. */
  serve: 1,
  /** A program for a container with such an init, which forks it. */
  inside: 2,
  /** A program for any container: a child of the launcher joins it. */
  join: 4,
  /** With one of these two: the program waits at its `park` step for a release. */
  park: 8,
  /** That release: what a program that stands behind all of its walls still lacks. */
  release: 16,
  /** Beside any of them: the launcher notes when each step was done. */
  trace: 32,
} as const;

/** Roles of a `fork` step (native/protocol.h, ForkRole). */
export const forkRole = { init: 0, middle: 1, serve: 2 } as const;

/** A slot number: a place in the plan that holds a descriptor. */
export type Slot = number;

/** How one argument is encoded: u32, u64, string, bytes, string list, slot read, slot filled. */
export type Kind = 'u' | 'q' | 's' | 'b' | 'v' | 'f' | 'o';

/** `name: [[argument, kind], …]`, in the order of native/steps.def. */
export const stepTable = {
  open: [
    ['slot', 'o'],
    ['dir', 'f'],
    ['path', 's'],
    ['flags', 'u'],
    ['resolve', 'q'],
    ['mode', 'u'],
  ],
  close: [['slot', 'f']],
  write: [
    ['dir', 'f'],
    ['path', 's'],
    ['data', 'b'],
  ],
  writeFd: [
    ['slot', 'f'],
    ['data', 'b'],
  ],
  read: [
    ['dir', 'f'],
    ['path', 's'],
    ['max', 'u'],
  ],
  create: [
    ['dir', 'f'],
    ['path', 's'],
    ['mode', 'u'],
    ['data', 'b'],
  ],
  mkdir: [
    ['dir', 'f'],
    ['path', 's'],
    ['mode', 'u'],
    ['existOk', 'u'],
  ],
  symlink: [
    ['dir', 'f'],
    ['target', 's'],
    ['path', 's'],
  ],
  rmdir: [
    ['dir', 'f'],
    ['path', 's'],
  ],
  procWrite: [
    ['file', 's'],
    ['data', 'b'],
    ['readBack', 'u'],
  ],
  verifyDevice: [
    ['slot', 'f'],
    ['major', 'u'],
    ['minor', 'u'],
  ],
  verifyFs: [
    ['slot', 'f'],
    ['magic', 'u'],
  ],
  wait: [],
  setns: [
    ['slot', 'f'],
    ['type', 'u'],
  ],
  unshare: [['flags', 'u']],
  sethostname: [['name', 's']],
  setdomainname: [['name', 's']],
  linkUp: [['name', 's']],
  fork: [
    ['role', 'u'],
    ['keepCaps', 'q'],
  ],
  openTree: [
    ['slot', 'o'],
    ['dir', 'f'],
    ['path', 's'],
    ['flags', 'u'],
  ],
  mountSetattr: [
    ['slot', 'f'],
    ['flags', 'u'],
    ['set', 'q'],
    ['clear', 'q'],
    ['propagation', 'q'],
    ['userns', 'f'],
  ],
  fsMount: [
    ['slot', 'o'],
    ['type', 's'],
    ['options', 'v'],
    ['attributes', 'u'],
  ],
  attach: [
    ['mount', 'f'],
    ['root', 'f'],
    ['path', 's'],
    ['resolve', 'q'],
  ],
  mask: [
    ['root', 'f'],
    ['path', 's'],
    ['file', 'f'],
    ['directory', 'f'],
  ],
  readonlyPath: [
    ['root', 'f'],
    ['path', 's'],
  ],
  pivotRoot: [['root', 'f']],
  setsid: [],
  newKeyring: [],
  prctl: [
    ['option', 'u'],
    ['arg2', 'q'],
    ['arg3', 'q'],
  ],
  rlimit: [
    ['resource', 'u'],
    ['soft', 'q'],
    ['hard', 'q'],
  ],
  umask: [['mask', 'u']],
  stdio: [
    ['stdin', 'f'],
    ['stdout', 'f'],
    ['stderr', 'f'],
  ],
  pty: [
    ['devpts', 'f'],
    ['rows', 'u'],
    ['cols', 'u'],
  ],
  chdir: [['path', 's']],
  setgroups: [['ids', 'b']],
  setgid: [['gid', 'u']],
  setuid: [['uid', 'u']],
  capBounding: [['keep', 'q']],
  capset: [
    ['effective', 'q'],
    ['permitted', 'q'],
    ['inheritable', 'q'],
  ],
  capAmbient: [['mask', 'q']],
  noNewPrivs: [],
  landlockRuleset: [
    ['slot', 'o'],
    ['fs', 'q'],
    ['net', 'q'],
    ['scoped', 'q'],
  ],
  landlockPath: [
    ['ruleset', 'f'],
    ['path', 's'],
    ['access', 'q'],
    ['optional', 'u'],
  ],
  landlockRestrict: [['ruleset', 'f']],
  closeAll: [
    ['keep', 'f'],
    ['also', 'f'],
  ],
  seccomp: [
    ['flags', 'u'],
    ['filter', 'b'],
  ],
  assert: [
    ['status', 'f'],
    ['lines', 'v'],
  ],
  exec: [
    ['candidates', 'v'],
    ['argv', 'v'],
    ['env', 'v'],
  ],
  watchOom: [
    ['dir', 'f'],
    ['path', 's'],
  ],
  idmapMount: [
    ['slot', 'f'],
    ['recursive', 'u'],
  ],
  bpfDevice: [
    ['cgroup', 'f'],
    ['program', 'b'],
  ],
  serve: [],
  hold: [['slot', 'f']],
  chown: [
    ['dir', 'f'],
    ['path', 's'],
    ['uid', 'u'],
    ['gid', 'u'],
  ],
  writeOnKill: [
    ['dir', 'f'],
    ['path', 's'],
    ['data', 'b'],
  ],
  serveFiles: [['socket', 'f']],
  setfsuid: [['uid', 'u']],
  setuidKeepCaps: [
    ['uid', 'u'],
    ['fsuid', 'u'],
  ],
  sysctl: [
    ['proc', 'f'],
    ['file', 's'],
    ['data', 'b'],
  ],
  park: [],
} as const satisfies Record<string, readonly (readonly [string, Kind])[]>;

/** The name of a step. */
export type Op = keyof typeof stepTable;

interface KindTypes {
  u: number;
  q: bigint;
  s: string;
  b: Uint8Array;
  v: readonly string[];
  f: Slot;
  o: Slot;
}

type Arguments<T extends readonly (readonly [string, Kind])[]> = {
  readonly [E in T[number] as E[0]]: KindTypes[E[1]];
};

/** One step of the given kind: `{ op: 'mkdir', dir, path, mode, existOk }`. */
export type StepOf<N extends Op> = { readonly op: N } & Arguments<(typeof stepTable)[N]>;

/** Any step; a union discriminated by `op`. */
export type Step = { [N in Op]: StepOf<N> }[Op];

/** The walls that must stand before exec; a plan may waive one only by naming it. */
export const wall = { pivot: 1, caps: 2, noNewPrivs: 4, seccomp: 8, fds: 16, assert: 32 } as const;

/** What the launcher is given: four flat lists and how to clone. */
export interface Plan {
  /** `CLONE_NEW*` flags of the clone. */
  cloneFlags: bigint;
  /** Slot of a cgroup2 directory that the child is born in, or `slot.none`. */
  intoCgroup: Slot;
  /** Descriptors of this process that travel with the plan; they fill slots 0, 1, …. */
  fds: readonly number[];
  /** Slots in use, the descriptors included. */
  slotCount: number;
  /** Bits of `wall` that this plan does without. */
  waived: number;
  /** Of `planFlag`, without `trace`; default 0, a container of one program. */
  flags?: number;
  /** Launcher, before the clone. */
  prepare: readonly Step[];
  /** Launcher, while the child waits at its `wait` step. */
  attend: readonly Step[];
  /** The new process, up to and including `exec`, `serve`, `serveFiles` or `park`. */
  child: readonly Step[];
  /** Launcher, when the container has ended or could not be started. */
  teardown: readonly Step[];
}

/** The four lists of a plan, in the order they are encoded. */
export const sections = ['prepare', 'attend', 'child', 'teardown'] as const;
/** The name of one of them. */
export type Section = (typeof sections)[number];

const encoder = new TextEncoder();

/** Text as the bytes of a `write`, `create` or `procWrite` step. */
export function bytes(text: string): Uint8Array {
  return encoder.encode(text);
}
