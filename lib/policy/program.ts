import type { CgroupPlan } from '../cgroups/index.js';
import { PlanBuilder } from '../plan/builder.js';
import { forkRole, planFlag, type Slot, slot, targets } from '../plan/steps.js';
import type { NamespaceType } from '../spec/types.js';
import { CloneFlags, OpenFlags, Resolve } from '../sys/constants.js';
import { FsMagic } from '../sys/processConstants.js';
import { capabilityMask, killMask } from './capabilities.js';
import { planLandlockRules } from './landlock.js';
import { cloneFlag } from './namespaces.js';
import type { CompiledPlan, PlanInput } from './order.js';
import { capabilityMasks, planCapabilities, planIdentity, planUnseen } from './privileges.js';
import { planProcess } from './process.js';
import { planJoinedIdentity, planJoinedScore, reservedUid } from './users.js';

/** What the plan of a further program is made from; `spec` is the container's, with its process. */
export interface ProgramInput extends Pick<PlanInput, 'spec' | 'facts' | 'fds' | 'filter'> {
  /** Appends the steps of the program's own cgroup. */
  planCgroup: (builder: PlanBuilder) => CgroupPlan;
  /** A child of the launcher joins the container; else its init forks the program. */
  join: boolean;
  /** It waits behind its last wall for a release. */
  parks?: boolean;
}

/** Which slot has a container's namespace. */
const targetNames: Readonly<Record<NamespaceType, (typeof targets)[number]>> = {
  user: 'user',
  mount: 'mnt',
  pid: 'pid',
  network: 'net',
  ipc: 'ipc',
  uts: 'uts',
  cgroup: 'cgroup',
  time: 'time',
};

function targetSlot(type: NamespaceType): Slot {
  return slot.target + targets.indexOf(targetNames[type]);
}

/**
 * One more program in a container that runs, up to its exec: it comes to stand behind every wall
 * that the container's first program stands behind.
 */
export function compileProgram(input: ProgramInput): CompiledPlan {
  const { spec, facts } = input;
  const { b, cgroup } = planInside(input);
  if (input.parks === true) b.flags |= planFlag.park;
  const ruleset = planLandlockRules(b, spec, facts, true);
  const devpts = spec.process.terminal === true ? planDevpts(b) : undefined;
  planProcess(b, { ...input, devpts, ruleset });
  return { plan: b.build(), cgroup };
}

/** What a file agent's plan is made from. */
export type FileAgentInput = Pick<
  ProgramInput,
  'spec' | 'facts' | 'fds' | 'planCgroup' | 'join'
> & {
  /** Beside those that every agent has. */
  capabilities?: readonly string[];
};

/** What the agent may do with files of every user of the container, and nothing else. */
const agentCapabilities = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER'];

/**
 * A file agent in a container that runs: our own code, which reads requests from the socket in slot
 * 0 and acts on files as the container's root. No program, so no filter for one.
 */
export function compileFileAgent(input: FileAgentInput): CompiledPlan {
  const { b, cgroup } = planInside(input);
  const all = [...agentCapabilities, ...(input.capabilities ?? [])];
  const capabilities = { bounding: all, effective: all, permitted: all };
  const process = {
    args: [],
    cwd: '/',
    user: { uid: reservedUid(input.facts), gid: 0 },
    capabilities,
  };
  b.add('child', { op: 'setsid' });
  // CAP_SETUID is for the next step alone.
  planIdentity(b, process, input.facts, capabilityMask(['CAP_SETUID'], 'capabilities'));
  b.add('child', { op: 'setfsuid', uid: 0 });
  planCapabilities(b, capabilityMasks(process), 0n);
  // A change of the fsuid clears both (prctl(2)).
  planUnseen(b);
  b.add(
    'child',
    { op: 'umask', mask: input.spec.process.user.umask ?? 0o022 },
    { op: 'chdir', path: '/' },
    { op: 'closeAll', keep: 0, also: slot.proc },
    { op: 'serveFiles', socket: 0 },
  );
  return { plan: b.build(), cgroup };
}

/** The way of anything into a container that runs: to its cgroup, and behind the mounts. */
function planInside(input: FileAgentInput) {
  const b = new PlanBuilder(input.fds);
  b.flags = input.join ? planFlag.join : planFlag.inside;
  // In its cgroup before it does anything, so that everything it does is charged and limited.
  const cgroup = input.planCgroup(b);
  const own = new Set(input.spec.linux.namespaces.map(({ type }) => type));
  if (input.join) {
    planJoinedScore(b, input.spec, input.facts);
    planEntry(b, input, own);
  }
  // Its own cgroup is all that it sees of the tree.
  if (own.has('cgroup')) b.add('child', { op: 'unshare', flags: CloneFlags.CLONE_NEWCGROUP });
  if (!input.join) b.add('child', { op: 'newKeyring' });
  return { b, cgroup };
}

/**
 * The way in for a child of the launcher. Root's launcher enters what it has rights over and takes
 * that back after the clone, so the child is born inside; an ordinary user's could not come back, so
 * the child enters all by itself, and its own child is the first to be in the pid namespace. The
 * user namespace is always entered by the child, because nobody comes back from one, and the mounts
 * after it, because their owner is that namespace.
 */
function planEntry(
  b: PlanBuilder,
  { spec, facts }: FileAgentInput,
  own: ReadonlySet<NamespaceType>,
): void {
  const join = (section: 'prepare' | 'child', type: NamespaceType) =>
    b.add(section, { op: 'setns', slot: targetSlot(type), type: cloneFlag[type] });
  const others = (['pid', 'network', 'ipc', 'uts', 'time'] as const).filter((type) =>
    own.has(type),
  );
  if (facts.privileged) for (const type of others) join('prepare', type);
  if (own.has('user')) join('child', 'user');
  if (!facts.privileged) for (const type of others) join('child', type);
  join('child', 'mount');
  planJoinedIdentity(b, spec, facts);
  if (!facts.privileged && own.has('pid'))
    b.add('child', { op: 'fork', role: forkRole.middle, keepCaps: killMask });
}

/** The container's devpts, by its place: what else a guest may have put there is no devpts. */
function planDevpts(b: PlanBuilder): Slot {
  const devpts = b.newSlot();
  b.add(
    'child',
    {
      op: 'open',
      slot: devpts,
      dir: slot.home,
      path: '/dev/pts',
      flags: OpenFlags.O_PATH | OpenFlags.O_DIRECTORY,
      resolve: BigInt(Resolve.RESOLVE_NO_SYMLINKS),
      mode: 0,
    },
    { op: 'verifyFs', slot: devpts, magic: FsMagic.DEVPTS_SUPER_MAGIC },
  );
  return devpts;
}
