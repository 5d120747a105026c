import type { Phase } from '../errors.js';
import { MountAttr } from '../sys/constants.js';
import {
  forkRole,
  type Op,
  type Plan,
  type Slot,
  type Step,
  type StepOf,
  sections,
  slot,
  targets,
} from './steps.js';
import {
  attributeNames,
  bytesText,
  inParentheses,
  limitText,
  namespaceNames,
  openNames,
  prctlName,
  quoted,
  rightNames,
  rlimitName,
  treeNames,
} from './words.js';

/** What slots hold, in words. */
export type SlotNames = ReadonlyMap<Slot, string>;

type Name = (slot: Slot) => string;

const fixedNames: ReadonlyMap<Slot, string> = new Map([
  [slot.host, 'host'],
  [slot.proc, 'proc'],
  [slot.home, 'home'],
  [slot.none, 'nothing'],
  ...targets.map((name, i): [Slot, string] => [slot.target + i, `the container's ${name}`]),
]);

/** A path below a slot. Absolute ones are paths of the host or of the container, and stand alone. */
function at(name: Name, dir: Slot, path: string): string {
  if (dir === slot.host || path.startsWith('/')) return path;
  return path === '' ? name(dir) : `${name(dir)}:${path}`;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(3, '0');
}

/** An id, or nothing for the one that stays as it is: chown(2). */
function owner(id: number): string {
  return id === 0xffffffff ? '' : String(id);
}

function hex(mask: bigint): string {
  return mask === 0n ? 'none' : `0x${mask.toString(16)}`;
}

function setattr(step: StepOf<'mountSetattr'>, name: Name): string {
  const words = [...treeNames(step.flags), ...attributeNames(step.set)];
  // The access-time mode is cleared as a whole before one is set; the one that is set says it.
  const cleared = step.clear & ~step.set & ~BigInt(MountAttr.MOUNT_ATTR__ATIME);
  words.push(...attributeNames(cleared).map((word) => `not ${word}`));
  if (step.propagation !== 0n) words.push('private');
  return `${name(step.slot)}${inParentheses(words)}`;
}

function groups(ids: Uint8Array): string {
  const view = new DataView(ids.buffer, ids.byteOffset, ids.byteLength);
  const list = Array.from({ length: ids.length >> 2 }, (_, i) => view.getUint32(4 * i, true));
  return list.length === 0 ? 'none' : list.join(' ');
}

function exec({ candidates, argv, env }: StepOf<'exec'>): string {
  const [file = '', ...args] = argv;
  const shown = candidates.length === 1 ? (candidates[0] ?? file) : file;
  return `${[shown, ...args].map(quoted).join(' ')} (${env.length} variables)`;
}

type Words = { [N in Op]: (step: StepOf<N>, name: Name) => string };

/** What follows the step's name. */
const words: Words = {
  open: (s, n) => `${at(n, s.dir, s.path)}${inParentheses(openNames(s.flags))}`,
  close: (s, n) => n(s.slot),
  write: (s, n) => `${at(n, s.dir, s.path)} ${bytesText(s.data)}`,
  writeFd: (s, n) => `${n(s.slot)} ${bytesText(s.data)}`,
  read: (s, n) => at(n, s.dir, s.path),
  create: (s, n) => `${at(n, s.dir, s.path)}${s.data.length === 0 ? '' : ` ${bytesText(s.data)}`}`,
  mkdir: (s, n) => `${at(n, s.dir, s.path)} (${octal(s.mode)})`,
  symlink: (s, n) => `${at(n, s.dir, s.path)} -> ${s.target}`,
  rmdir: (s, n) => at(n, s.dir, s.path),
  procWrite: (s) => `/proc/${s.file} ${bytesText(s.data)}`,
  sysctl: (s) => `/proc/${s.file} ${bytesText(s.data)}`,
  verifyDevice: (s, n) => `${n(s.slot)} is ${s.major}:${s.minor}`,
  verifyFs: (s, n) => `${n(s.slot)} is 0x${s.magic.toString(16)}`,
  wait: () => 'for the host side',
  setns: (s, n) => `${namespaceNames(s.type).join(' ')} of ${n(s.slot)}`,
  unshare: (s) => namespaceNames(s.flags).join(' '),
  sethostname: (s) => s.name,
  setdomainname: (s) => s.name,
  linkUp: (s) => s.name,
  fork: (s) => (s.role === forkRole.middle ? 'parent only waits' : 'init stays as parent'),
  openTree: (s, n) => `${at(n, s.dir, s.path)}${inParentheses(treeNames(s.flags))}`,
  mountSetattr: setattr,
  fsMount: (s) => `${s.type}${inParentheses([...attributeNames(s.attributes), ...s.options])}`,
  idmapMount: (s, n) => `${n(s.slot)}${s.recursive === 0 ? '' : ' (recursive)'}`,
  attach: (s, n) => `${n(s.mount)} on ${at(n, s.root, s.path)}`,
  mask: (s, n) => at(n, s.root, s.path),
  readonlyPath: (s, n) => at(n, s.root, s.path),
  pivotRoot: (s, n) => n(s.root),
  setsid: () => '',
  newKeyring: () => '',
  prctl: (s) => `${prctlName(s.option)} ${s.arg2}${s.arg3 === 0n ? '' : ` ${s.arg3}`}`,
  rlimit: (s) => `${rlimitName(s.resource)} ${limitText(s.soft)} ${limitText(s.hard)}`,
  umask: (s) => octal(s.mask),
  stdio: (s, n) => [s.stdin, s.stdout, s.stderr].map(n).join(' '),
  pty: (s, n) => `${n(s.devpts)} ${s.cols}x${s.rows}`,
  chdir: (s) => s.path,
  setgroups: (s) => groups(s.ids),
  setgid: (s) => String(s.gid),
  setuid: (s) => String(s.uid),
  setfsuid: (s) => String(s.uid),
  setuidKeepCaps: (s) => `${s.uid} fsuid ${s.fsuid}`,
  capBounding: (s) => hex(s.keep),
  capset: (s) =>
    `${hex(s.effective)} permitted ${hex(s.permitted)} inheritable ${hex(s.inheritable)}`,
  capAmbient: (s) => hex(s.mask),
  noNewPrivs: () => '',
  landlockRuleset: (s) => `fs ${hex(s.fs)} net ${hex(s.net)} scoped ${hex(s.scoped)}`,
  landlockPath: (s) => `${s.path} (${rightNames(s.access)})`,
  landlockRestrict: () => '',
  closeAll: (s, n) => `all but 0 1 2, until exec ${n(s.keep)} ${n(s.also)}`,
  seccomp: (s) => `${s.filter.length / 8} instructions`,
  assert: (s) => s.lines.map((line) => line.replace(/\s+/g, ' ')).join(', '),
  exec,
  watchOom: (s, n) => at(n, s.dir, s.path),
  chown: (s, n) => `${at(n, s.dir, s.path)} ${owner(s.uid)}:${owner(s.gid)}`,
  bpfDevice: (s, n) => `${n(s.cgroup)} ${s.program.length / 8} instructions`,
  writeOnKill: (s, n) => `${at(n, s.dir, s.path)} ${bytesText(s.data)}`,
  serve: () => 'as the init, for programs to come',
  hold: (s, n) => `until ${n(s.slot)} says so`,
  serveFiles: (s, n) => `on ${n(s.socket)}`,
  park: () => 'until a release brings the rest',
};

/**
 * A step in one line, its name first: `fsMount tmpfs (nosuid,nodev,size=64m)`. Errors, debug
 * output, golden files and `explain` all say it this way.
 * @param names what the slots hold (`slotNames`); a slot without a name is `#7`
 */
export function describeStep(step: Step, names?: SlotNames): string {
  const name: Name = (number) => fixedNames.get(number) ?? names?.get(number) ?? `#${number}`;
  const say = words[step.op] as (step: Step, name: Name) => string;
  return `${step.op} ${say(step, name)}`.trimEnd();
}

/** What each slot of a plan holds, from the step that fills it. */
export function slotNames(plan: Plan): SlotNames {
  const names = new Map<Slot, string>();
  for (const [i] of plan.fds.entries()) names.set(i, i < 3 ? (streams[i] as string) : `fd${i}`);
  const name: Name = (number) => fixedNames.get(number) ?? names.get(number) ?? `#${number}`;
  for (const step of sections.flatMap((section) => plan[section])) {
    if (step.op === 'open' || step.op === 'openTree')
      names.set(step.slot, at(name, step.dir, step.path));
    else if (step.op === 'fsMount') names.set(step.slot, step.type);
    else if (step.op === 'landlockRuleset') names.set(step.slot, 'ruleset');
    else if (step.op === 'attach' && step.root === slot.home) {
      names.set(step.mount, step.path === 'root' ? 'root' : 'scratch');
    }
  }
  return names;
}

const streams = ['stdin', 'stdout', 'stderr'];

/** A whole plan as text: the clone, then each section's numbered steps. Ends with a newline. */
export function describePlan(plan: Plan): string {
  const names = slotNames(plan);
  const lines = [`clone    ${namespaceNames(plan.cloneFlags).join(' ') || 'no namespaces'}`];
  for (const section of sections) {
    if (plan[section].length === 0) continue;
    lines.push(section);
    for (const [i, step] of plan[section].entries()) {
      const [op = '', ...rest] = describeStep(step, names).split(' ');
      lines.push(`${String(i).padStart(4)}  ${op.padEnd(16)} ${rest.join(' ')}`.trimEnd());
    }
  }
  return `${lines.join('\n')}\n`;
}

/** The main system call of each step. */
const syscalls: Readonly<Record<Op, string>> = {
  open: 'openat2',
  close: 'close',
  write: 'write',
  writeFd: 'write',
  read: 'read',
  create: 'openat',
  mkdir: 'mkdirat',
  symlink: 'symlinkat',
  rmdir: 'unlinkat',
  procWrite: 'write',
  sysctl: 'write',
  verifyDevice: 'statx',
  verifyFs: 'fstatfs',
  wait: 'read',
  setns: 'setns',
  unshare: 'unshare',
  sethostname: 'sethostname',
  setdomainname: 'setdomainname',
  linkUp: 'ioctl',
  fork: 'clone3',
  openTree: 'open_tree',
  mountSetattr: 'mount_setattr',
  fsMount: 'fsconfig',
  idmapMount: 'mount_setattr',
  attach: 'move_mount',
  mask: 'move_mount',
  readonlyPath: 'mount_setattr',
  pivotRoot: 'pivot_root',
  setsid: 'setsid',
  newKeyring: 'keyctl',
  prctl: 'prctl',
  rlimit: 'prlimit64',
  umask: 'umask',
  stdio: 'dup3',
  pty: 'ioctl',
  chdir: 'chdir',
  setgroups: 'setgroups',
  setgid: 'setresgid',
  setuid: 'setresuid',
  setfsuid: 'setfsuid',
  setuidKeepCaps: 'setresuid',
  capBounding: 'prctl',
  capset: 'capset',
  capAmbient: 'prctl',
  noNewPrivs: 'prctl',
  landlockRuleset: 'landlock_create_ruleset',
  landlockPath: 'landlock_add_rule',
  landlockRestrict: 'landlock_restrict_self',
  closeAll: 'close_range',
  seccomp: 'seccomp',
  assert: 'read',
  exec: 'execve',
  watchOom: 'eventfd2',
  bpfDevice: 'bpf',
  writeOnKill: 'write',
  serve: 'ppoll',
  hold: 'read',
  chown: 'fchownat',
  serveFiles: 'recvmsg',
  park: 'recvmsg',
};

/** The main system call of a step: the one that an error's `syscall` names. */
export function syscallOf(step: Step): string {
  return syscalls[step.op];
}

const phases: Readonly<Partial<Record<Op, Phase>>> = {
  open: 'prepare',
  close: 'prepare',
  setns: 'prepare',
  write: 'cgroup',
  writeFd: 'cgroup',
  verifyFs: 'cgroup',
  watchOom: 'cgroup',
  bpfDevice: 'cgroup',
  chown: 'cgroup',
  procWrite: 'idmap',
  create: 'mount',
  mkdir: 'mount',
  symlink: 'mount',
  verifyDevice: 'mount',
  openTree: 'mount',
  mountSetattr: 'mount',
  fsMount: 'mount',
  idmapMount: 'mount',
  attach: 'mount',
  mask: 'mount',
  readonlyPath: 'mount',
  pivotRoot: 'mount',
  linkUp: 'net',
  rmdir: 'teardown',
  read: 'teardown',
  exec: 'exec',
  serveFiles: 'exec',
  park: 'exec',
};

/** Where in a launch a step belongs; what sets up the process itself is `'process'`. */
export function phaseOf(step: Step): Phase {
  // A cgroup's directory is new by design; those of the root may be there.
  if (step.op === 'mkdir' && step.existOk === 0) return 'cgroup';
  if (step.op === 'procWrite' && !/_map$|setgroups$/.test(step.file)) return 'process';
  return phases[step.op] ?? 'process';
}
