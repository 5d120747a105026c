import { idInUse } from './cgroups/place.js';
import {
  ContainerError,
  ContainerGoneError,
  type ErrorFacts,
  errnoName,
  NotFoundError,
  PermissionError,
  UnsupportedError,
} from './errors.js';
import { journalSection, launcherSection, type Report } from './launcher/messages.js';
import { describeStep, phaseOf, slotNames, syscallOf } from './plan/describe.js';
import { type Plan, planFlag, type Step, sections } from './plan/steps.js';
import { signalName } from './result.js';

function failedStep(plan: Plan, report: Report): Step | undefined {
  const section = report.section === journalSection ? 'prepare' : sections[report.section];
  return section === undefined ? undefined : plan[section][report.step];
}

function pathOf(step: Step): string | undefined {
  if ('path' in step) return step.path;
  if (step.op === 'exec') return step.argv[0];
  return step.op === 'procWrite' || step.op === 'sysctl' ? `/proc/${step.file}` : undefined;
}

type Maker = (message: string, facts: ErrorFacts) => ContainerError;

const make: Record<'notFound' | 'permission' | 'unsupported' | 'other', (code: string) => Maker> = {
  notFound: (code) => (message, facts) => new NotFoundError(code, message, facts),
  permission: (code) => (message, facts) => new PermissionError(code, message, facts),
  unsupported: (code) => (message, facts) => new UnsupportedError(code, message, facts),
  other: (code) => (message, facts) => new ContainerError(code, message, facts),
};

interface Reading {
  maker: Maker;
  hint?: string;
}

const manyProcesses =
  'as many processes as limits.pids, a cgroup above, or the kernel allows are there already';

/** Steps that resolve a path inside the new root. */
const onRoot = new Set<Step['op']>(['attach', 'mask', 'openTree', 'readonlyPath']);

/** A new proc or sysfs, of which a user namespace gets no more than it sees (mount_too_revealing). */
function isKernelMount(step: Step): boolean {
  return step.op === 'fsMount' && (step.type === 'proc' || step.type === 'sysfs');
}

/** What a failed step means to a person. */
function reading(step: Step, errno: string): Reading {
  if (step.op === 'exec') {
    if (errno === 'ENOENT' || errno === 'ENOTDIR')
      return {
        maker: make.notFound('ERR_PROGRAM_NOT_FOUND'),
        hint: 'the program, its interpreter or its loader is not in the container',
      };
    if (errno === 'EACCES' || errno === 'ENOEXEC')
      return {
        maker: make.permission('ERR_PROGRAM_NOT_EXECUTABLE'),
        hint: 'it must be executable by the uid it runs as, on a mount without noexec',
      };
  }
  if (step.op === 'chdir')
    return { maker: make.notFound('ERR_CWD'), hint: 'cwd must be a directory of the container' };
  if (step.op === 'assert') return { maker: make.other('ERR_WALL_MISSING') };
  if (errno === 'ENOSYS') return { maker: make.unsupported('ERR_UNSUPPORTED_KERNEL') };
  if (errno === 'ENOENT' && (step.op === 'attach' || step.op === 'openTree'))
    return { maker: make.notFound('ERR_MOUNT_NOT_FOUND') };
  if ((errno === 'ELOOP' || errno === 'EXDEV') && onRoot.has(step.op))
    return {
      maker: make.permission('ERR_UNSAFE_PATH'),
      hint: 'the path is or crosses a symbolic link where none may be',
    };
  if (errno === 'EPERM' || errno === 'EACCES')
    return {
      maker: make.permission('ERR_LAUNCH_DENIED'),
      hint: isKernelMount(step)
        ? `something lies over parts of this process's own /proc or /sys, so the kernel allows no new one: leave that out (docker: --security-opt systempaths=unconfined; systemd: no ProtectKernelTunables=)`
        : 'ringfort doctor says what this user may do here',
    };
  const maker = make.other('ERR_LAUNCH_FAILED');
  return step.op === 'fork' && errno === 'EAGAIN' ? { maker, hint: manyProcesses } : { maker };
}

/** What is not noted is not made: nothing would remove it if the launcher were killed. */
function journalError(step: string, errno: number): ContainerError {
  const name = errnoName(errno);
  return new ContainerError(
    'ERR_JOURNAL',
    `the journal cannot be written before ${step}: ${name}`,
    {
      phase: 'prepare',
      step,
      syscall: 'pwrite64',
      errno: -errno,
      hint: 'the file system of /run/ringfort, or of XDG_RUNTIME_DIR, is full or limited',
    },
  );
}

/** Whether it is one more program in a container. */
function isInside({ flags }: Plan): boolean {
  return ((flags ?? 0) & (planFlag.inside | planFlag.join | planFlag.release)) !== 0;
}

/** What clone(2) was refused for. */
const cloneHints: Readonly<Record<string, string>> = {
  ENOSPC: 'too many namespaces: see /proc/sys/user/max_*_namespaces',
  ENOSYS: 'a filter around this process has no clone3 (systemd: RestrictNamespaces=)',
  EPERM:
    'namespaces are forbidden here: by a filter, a chroot, or a lack of CAP_SYS_ADMIN; ringfort doctor says more',
};

/** What to do where there is no process. */
function processHint(plan: Plan, report: Report, errno: string | undefined): { hint?: string } {
  const hint = errno === 'EAGAIN' ? scarceHint(plan, report) : cloneHints[errno ?? ''];
  return hint === undefined ? {} : { hint };
}

/** Why there is no process, or nobody who would fork it. */
function scarceHint({ flags = 0 }: Plan, { section }: Report): string {
  // An init is asked without waiting for it; what it answers is the child's section.
  const asked = (flags & planFlag.inside) !== 0 && section === launcherSection;
  return asked ? 'the container’s init does not answer: something has stopped it' : manyProcesses;
}

/** What the launcher says of a container that it knows no more, or whose init is dead. */
const endedMeanwhile = new Set<string | undefined>(['ESRCH', 'EPIPE', 'ECONNRESET']);

function signalOf({ status }: Report): string {
  return status > 0 ? ` (${signalName(status & 0x7f)})` : '';
}

/** The error for a launch that the launcher gave up. */
export function launchError(plan: Plan, report: Report): ContainerError {
  const errno = report.error === 0 ? undefined : errnoName(report.error);
  const step = failedStep(plan, report);
  if (report.section === launcherSection || step === undefined) {
    if (isInside(plan) && endedMeanwhile.has(errno)) {
      const facts = { phase: 'launcher', errno: -report.error } as const;
      return new ContainerGoneError('ERR_CONTAINER_GONE', 'the container has ended', facts);
    }
    if (errno === undefined && report.status > 0) {
      const message = `the process died before its first step${signalOf(report)}`;
      return new ContainerError('ERR_LAUNCH_DIED', message, { phase: 'launcher' });
    }
    const what = isInside(plan) ? 'program' : 'container';
    return new ContainerError(
      'ERR_LAUNCH_FAILED',
      `the launcher could not start the ${what}: ${errno ?? 'no reason given'}`,
      {
        phase: 'launcher',
        errno: -report.error,
        ...processHint(plan, report, errno),
      },
    );
  }
  const words = describeStep(step, slotNames(plan));
  if (report.section === journalSection) return journalError(words, report.error);
  const facts: ErrorFacts = { phase: phaseOf(step), step: words, syscall: syscallOf(step) };
  const path = pathOf(step);
  if (path !== undefined) facts.path = path;
  // Somebody has made it since the plan was.
  const makesCgroup = sections[report.section] === 'prepare' && step.op === 'mkdir';
  if (makesCgroup && errno === 'EEXIST' && !isInside(plan)) return idInUse(path ?? '', facts);
  // The program and its directory are the caller's own words; anything else is a place in the plan.
  const where =
    step.op === 'exec' || step.op === 'chdir'
      ? `${step.op} ${path}`
      : `${sections[report.section]} step ${report.step}: ${words}`;
  if (errno === undefined) {
    const message = `${where}: the process died${signalOf(report)}`;
    return new ContainerError('ERR_LAUNCH_DIED', message, facts);
  }
  facts.errno = -report.error;
  const { maker, hint } = reading(step, errno);
  if (hint !== undefined) facts.hint = hint;
  return maker(`${where}: ${errno}`, facts);
}
