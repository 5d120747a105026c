import { type CgroupPlan, countsCpuTime, mustJoin, planExecCgroup } from './cgroups/index.js';
import type { Started } from './complete.js';
import { StateError, UnsupportedError } from './errors.js';
import { type Follow, follow, readPaths } from './follow.js';
import { checkIds } from './host/checkIds.js';
import { lookUpUser } from './host/userLookup.js';
import type { Launched, RunnableSpec } from './launch.js';
import type { PlanBuilder } from './plan/builder.js';
import { askForTrace, encodePlan } from './plan/encode.js';
import { mountsCgroups } from './policy/namespaces.js';
import type { CompiledPlan } from './policy/order.js';
import { compileFileAgent, compileProgram } from './policy/program.js';
import { filterOf, type Prepared } from './prepare.js';
import type { ProgramRecipe } from './programRecipe.js';
import { namespaceMode } from './spec/namespaces.js';
import type { SpecResources } from './spec/types.js';
import { close, socketpair } from './sys/files.js';
import { SocketType } from './sys/processConstants.js';
import { mark, tracing } from './trace.js';

/** What the launch of one more program in a container needs beside its spec. */
export interface ProgramLaunch {
  /** Name of its cgroup, below the container's. */
  execId: string;
  /** The container's spec with the program as its process. */
  spec: RunnableSpec;
  /** Limits of its own. */
  resources: SpecResources;
  /** Its limit of CPU time, ms; somebody must count it. */
  cpuTime?: number | undefined;
  /** Guest ends of stdin, stdout, stderr; empty for a terminal. */
  fds: readonly number[];
  onSent?: Follow['onSent'];
  onPty?: Follow['onPty'];
  /** What is known of it already. */
  recipe?: ProgramRecipe | undefined;
  signal?: Follow['signal'];
}

/** A program in a container, from its start to its end. */
export interface StartedProgram extends Started {
  readonly execId: string;
  readonly cgroup: CgroupPlan;
}

/**
 * The cgroups of a container's programs, and how they come to be in them.
 * @param later its limits come later
 */
export function wayIn(
  container: Launched,
  execId: string,
  resources: SpecResources,
  later = false,
) {
  const { nested } = container.cgroup;
  if (nested === undefined) {
    throw new StateError('ERR_NOT_JOINABLE', 'the container was started for one program');
  }
  // From its own cgroup namespace an init sees no cgroup beside its own to clone into.
  const blind = mountsCgroups(container.inside.spec);
  const joins = !container.inside.serves || blind || mustJoin(nested);
  return {
    nested,
    join: joins,
    planCgroup: (builder: PlanBuilder) =>
      planExecCgroup(builder, nested, { execId, resources, joins, later }),
  };
}

/** A plan that is ready to be sent. */
export interface Encoded extends Pick<Prepared, 'bytes' | 'fds' | 'reads' | 'plan'> {
  cgroup: CgroupPlan;
}

function encode({ plan, cgroup }: CompiledPlan): Encoded {
  const bytes = encodePlan(plan);
  if (tracing()) askForTrace(bytes);
  return { plan, cgroup, bytes, fds: plan.fds, reads: readPaths(plan) };
}

/** Hands a plan to the launcher of the container that it is for. */
async function launchInside(
  container: Launched,
  made: Encoded,
  input: Pick<ProgramLaunch, 'execId' | 'onSent' | 'onPty' | 'signal'>,
): Promise<StartedProgram> {
  const { launcher } = container.inside.supervisor;
  const { execId, onSent, onPty, signal } = input;
  mark(execId, 'plan encoded');
  const about = {
    name: execId,
    get plan() {
      return made.plan;
    },
    reads: made.reads,
    opened: [],
    onSent,
    onPty,
    signal,
  };
  const running = await follow(launcher, about, (events) =>
    launcher.exec(container.id, made.bytes, made.fds, events),
  );
  return { ...running, execId, isolation: container.isolation, cgroup: made.cgroup };
}

/**
 * The spec with its user found in the container.
 * @throws NotFoundError `ERR_USER_NOT_FOUND`; PermissionError for ids that the container has not
 */
export function withUser(container: Launched, asked: RunnableSpec): RunnableSpec {
  const user = lookUpUser(asked);
  const spec = user === undefined ? asked : { ...asked, process: { ...asked.process, user } };
  if (namespaceMode(spec.linux.namespaces, 'user') === 'new')
    checkIds(spec.process.user, container.inside.facts);
  return spec;
}

/** @throws UnsupportedError `ERR_CGROUP_UNAVAILABLE` where nothing counts what is to be limited */
export function checkCpuTime(cpuTime: number | undefined, cgroup: CgroupPlan): void {
  if (cpuTime !== undefined && !countsCpuTime(cgroup)) {
    const message = 'limits.cpuTime cannot be enforced: no cgroup of the container counts CPU time';
    throw new UnsupportedError('ERR_CGROUP_UNAVAILABLE', message, {
      phase: 'cgroup',
      option: 'limits.cpuTime',
      hint: 'create the container with a cgroup, or leave the limit out',
    });
  }
}

/** What starting it comes to; nothing is created. */
export function compileLaunch(
  container: Launched,
  input: Pick<ProgramLaunch, 'execId' | 'spec' | 'resources' | 'cpuTime' | 'fds'>,
): CompiledPlan {
  const { facts } = container.inside;
  const spec = withUser(container, input.spec);
  const compiled = compileProgram({
    spec,
    facts,
    fds: input.fds,
    ...filterOf(spec, facts),
    ...wayIn(container, input.execId, input.resources),
  });
  checkCpuTime(input.cpuTime, compiled.cgroup);
  return compiled;
}

/**
 * Starts one more program in a container that lives: by its init, or where it has none of ours, by a
 * child of the launcher that joins.
 * @throws ContainerError and its kinds; a program that fails is not an error
 */
export async function launchProgram(
  container: Launched,
  input: ProgramLaunch,
): Promise<StartedProgram> {
  const { recipe } = input;
  const made = recipe?.prepare(container, input) ?? encode(compileLaunch(container, input));
  try {
    return await launchInside(container, made, input);
  } catch (error) {
    recipe?.forget();
    throw error;
  }
}

/**
 * Starts a file agent in a container that lives.
 * @param capabilities beside those that every agent has
 * @returns our end of its socket, and its process
 * @throws as `launchProgram`
 */
export async function launchFileAgent(
  container: Launched,
  execId: string,
  capabilities: readonly string[] = [],
): Promise<{ fd: number; agent: StartedProgram }> {
  const { facts, spec } = container.inside;
  const way = wayIn(container, execId, {});
  const [fd, guests] = socketpair(SocketType.SOCK_SEQPACKET);
  try {
    const compiled = compileFileAgent({ spec, facts, fds: [guests], capabilities, ...way });
    return { fd, agent: await launchInside(container, encode(compiled), { execId }) };
  } catch (error) {
    close(fd);
    throw error;
  } finally {
    close(guests);
  }
}
