import type { StepRow } from '../../lib/native/binding.js';
import {
  bytes,
  type Kind,
  type Plan,
  type Slot,
  type Step,
  slot,
  wall,
} from '../../lib/plan/steps.js';
import { CloneFlags } from '../../lib/sys/index.js';

const noId = new Uint8Array();
const allNamespaces =
  CloneFlags.CLONE_NEWUSER |
  CloneFlags.CLONE_NEWPID |
  CloneFlags.CLONE_NEWNS |
  CloneFlags.CLONE_NEWNET |
  CloneFlags.CLONE_NEWIPC |
  CloneFlags.CLONE_NEWUTS;

/** What a hand-made plan does differently. */
export interface ProgramOptions {
  env?: readonly string[];
  /** Lines that /proc/self/status must have before exec. */
  assertions?: readonly string[];
  /** The walls that the plan does without; the filter unless said otherwise. */
  waived?: number;
  /** Steps of the child right after its `wait`. */
  atFirst?: readonly Step[];
  teardown?: readonly Step[];
  /** Leaves out steps of these kinds. */
  without?: readonly Step['op'][];
}

/** The slots of a program's plan: three passed descriptors, then what it opens. */
const usr = 3;
const root = 4;
const proc = 5;
const status = 6;

const makeRoot: readonly Step[] = [
  { op: 'fsMount', slot: root, type: 'tmpfs', options: ['size=1m', 'mode=755'], attributes: 6 },
  { op: 'attach', mount: root, root: slot.home, path: 'root', resolve: 16n },
  { op: 'mkdir', dir: root, path: 'usr', mode: 0o755, existOk: 0 },
  { op: 'mkdir', dir: root, path: 'proc', mode: 0o755, existOk: 0 },
  ...['bin', 'lib', 'lib64', 'sbin'].map(
    (name): Step => ({ op: 'symlink', dir: root, target: `usr/${name}`, path: name }),
  ),
  { op: 'attach', mount: usr, root, path: 'usr', resolve: 16n },
  { op: 'fsMount', slot: proc, type: 'proc', options: [], attributes: 14 },
  { op: 'attach', mount: proc, root, path: 'proc', resolve: 16n },
  { op: 'pivotRoot', root },
];

const dropPrivileges: readonly Step[] = [
  { op: 'setsid' },
  { op: 'stdio', stdin: 0, stdout: 1, stderr: 2 },
  { op: 'open', slot: status, dir: slot.proc, path: 'self/status', flags: 0, resolve: 0n, mode: 0 },
  { op: 'capBounding', keep: 0n },
  { op: 'capset', effective: 0n, permitted: 0n, inheritable: 0n },
  { op: 'noNewPrivs' },
  { op: 'chdir', path: '/' },
  { op: 'closeAll', keep: status, also: slot.none },
];

/** The step that writes `self/uid_map` or `self/gid_map`. */
export function idMap(file: string, map = '0 524288 65536'): Step {
  return { op: 'procWrite', file, data: bytes(map), readBack: 0 };
}

/** The step that copies a tree of the host's mounts. */
export function openTree(path: string, into: Slot): Step {
  return { op: 'openTree', slot: into, dir: slot.host, path, flags: 0x8001 };
}

/**
 * A plan made by hand, without the policy of lib/: a program of the host's /usr in new namespaces,
 * with an init of ours, as root in a range of host ids. Needs root to run. Pass three descriptors.
 */
export function programPlan(argv: readonly string[], options: ProgramOptions = {}): Plan {
  const { env = [], assertions = ['NoNewPrivs:\t1'], atFirst = [], without = [] } = options;
  const child: Step[] = [
    { op: 'wait' },
    ...atFirst,
    { op: 'setgroups', ids: noId },
    { op: 'setgid', gid: 0 },
    { op: 'setuid', uid: 0 },
    { op: 'prctl', option: 4, arg2: 0n, arg3: 0n },
    ...makeRoot,
    { op: 'fork', role: 0, keepCaps: 1n << 5n },
    ...dropPrivileges,
    { op: 'assert', status, lines: assertions },
    { op: 'exec', candidates: [argv[0] ?? ''], argv, env: ['PATH=/usr/bin', ...env] },
  ];
  return {
    cloneFlags: BigInt(allNamespaces),
    intoCgroup: slot.none,
    fds: [0, 1, 2],
    slotCount: 7,
    waived: options.waived ?? wall.seccomp,
    prepare: [
      openTree('/usr', usr),
      {
        op: 'mountSetattr',
        slot: usr,
        flags: 0x8000,
        set: 7n,
        clear: 0n,
        propagation: 1n << 18n,
        userns: slot.none,
      },
    ],
    attend: [idMap('self/uid_map'), idMap('self/gid_map')],
    child: child.filter(({ op }) => !without.includes(op)),
    teardown: options.teardown ?? [],
  };
}

/** A program that succeeds at once. */
export const truePlan = () => programPlan(['/usr/bin/true']);

/** A program that a test has to end. */
export const sleepPlan = () => programPlan(['/usr/bin/sleep', '60']);

const samples: Readonly<Record<Exclude<Kind, 'f' | 'o'>, unknown>> = {
  u: 0x40000000, // for setns: CLONE_NEWNET
  q: 0x123456789abcdefn,
  s: 'häftig',
  b: bytes('bytes67'),
  v: ['one', '', 'three'],
};

/** Steps that end a child section; a plan has one of them. */
const ends = ['exec', 'serve', 'serveFiles', 'park'];

/**
 * Every row of the table on every side that may run it, in an order that the launcher accepts: exec
 * last, and of the ends only that.
 */
export function everyStep(
  rows: readonly StepRow[],
  table: Readonly<Record<string, readonly (readonly [string, Kind])[]>>,
): Plan {
  let slots = 1;
  const section = (side: number): Step[] =>
    rows
      .filter(
        ({ sides, name }) => (sides & side) !== 0 && (name === 'exec' || !ends.includes(name)),
      )
      .sort((a, b) => Number(ends.includes(a.name)) - Number(ends.includes(b.name)))
      .map(({ name }) => {
        const fields = (table[name] ?? []).map(([field, kind]) => {
          if (kind === 'o') return [field, slots++];
          if (kind !== 'f') return [field, samples[kind]];
          if (side === 8) return [field, slot.host];
          return [field, name === 'close' ? slots - 1 : 0];
        });
        return { op: name, ...Object.fromEntries(fields) } as Step;
      });
  const [prepare = [], attend = [], child = [], teardown = []] = [1, 2, 4, 8].map(section);
  const header = { cloneFlags: BigInt(allNamespaces), intoCgroup: 0, fds: [0], waived: 0 };
  return { ...header, slotCount: slots, prepare, attend, child, teardown };
}
