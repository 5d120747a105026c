import { closeSync } from 'node:fs';
import {
  type CgroupPlan,
  currentCgroups,
  parseUsage,
  planCgroup,
  type Usage,
  verdict,
} from './cgroups/index.js';
import { debugLaunch } from './debug.js';
import { orScarcity } from './errors.js';
import { checkIds } from './host/checkIds.js';
import { checkSources } from './host/checkSources.js';
import type { IdLease } from './host/idRanges.js';
import { openNamespaces } from './host/openNamespaces.js';
import { realSources } from './host/realSources.js';
import { rootFacts } from './host/rootFacts.js';
import { lookUpUser } from './host/userLookup.js';
import { describeIsolation, type Isolation } from './isolation.js';
import { launchError } from './launchError.js';
import { decodeStatus, type Report } from './launcher/messages.js';
import { encodePlan } from './plan/encode.js';
import type { Plan } from './plan/steps.js';
import type { Facts } from './policy/facts.js';
import { compilePlan } from './policy/order.js';
import { signalName } from './result.js';
import { compileSeccomp } from './seccomp/compile.js';
import { annotation } from './spec/annotations.js';
import { namespaceMode } from './spec/namespaces.js';
import type { Spec, SpecProcess } from './spec/types.js';
import { type Supervisor, supervisor } from './supervisor.js';
import { close } from './sys/files.js';

/** A spec that says what to run. */
export type RunnableSpec = Spec & { process: SpecProcess };

/** How a container ended. */
export interface Ended {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  usage: Usage;
  /** The memory limit ended it. */
  oom: boolean;
  /** A fork was refused at the pids limit. */
  pids: boolean;
}

/** A container from its launch to its end. */
export interface Launched {
  /** Host pid of the container's first process, once it runs. */
  readonly pid: number;
  readonly isolation: Isolation;
  readonly cgroup: CgroupPlan;
  /** Resolves when the container has ended; rejects when the launcher died under it. */
  readonly ended: Promise<Ended>;
  /** Sends a signal to the main program. */
  signal(number: number): void;
  /** Ends everything in the container. */
  kill(): void;
}

/** What a launch needs beside the spec. */
export interface LaunchInput {
  id: string;
  spec: RunnableSpec;
  /** Guest ends of stdin, stdout, stderr; empty for a terminal. */
  fds: readonly number[];
  /** The plan has left: the guest ends may be closed. */
  onSent?: () => void;
  /** The master side of the program's terminal. */
  onPty?: (fd: number) => void;
}

/** A compiled launch: everything decided, nothing created but the id lease. */
interface Prepared {
  plan: Plan;
  bytes: Uint8Array;
  cgroup: CgroupPlan;
  isolation: Isolation;
  lease: IdLease;
  /** Namespace descriptors that were opened for it. */
  opened: number[];
}

/** Whether the container is shown directories of the host whose owners should look right. */
function sharesHostDirs(spec: Spec): boolean {
  const host = spec.annotations?.[annotation.rootfs] === 'host';
  return (
    !host ||
    (spec.mounts ?? []).some(
      ({ type, options = [] }) =>
        type === 'bind' ||
        type === 'overlay' ||
        options.includes('bind') ||
        options.includes('rbind'),
    )
  );
}

/** Decides everything about a launch. Throws before anything is created. */
function prepare(shared: Supervisor, input: LaunchInput): Prepared {
  const found = realSources(input.spec);
  const user = lookUpUser(found);
  const spec: RunnableSpec =
    user === undefined ? found : { ...found, process: { ...found.process, user } };
  checkSources(spec);
  const pool = spec.annotations?.[annotation.idPool];
  const lease = shared.ids.acquire({
    shareHostDirs: sharesHostDirs(spec),
    uidMappings: spec.linux.uidMappings,
    gidMappings: spec.linux.gidMappings,
    pool: pool === undefined ? undefined : JSON.parse(pool),
  });
  let opened = new Map<string, number>();
  try {
    opened = openNamespaces(spec);
    if (namespaceMode(spec.linux.namespaces, 'user') === 'new') checkIds(spec.process.user, lease);
    const facts: Facts = {
      ...shared.facts,
      ...rootFacts(spec),
      uidMappings: lease.uidMappings,
      gidMappings: lease.gidMappings,
      denySetgroups: lease.denySetgroups,
    };
    const { seccomp } = spec.linux;
    const compiled = seccomp && compileSeccomp(seccomp, { arch: facts.arch });
    const paths = [...opened.keys()];
    const { plan, cgroup } = compilePlan({
      spec,
      facts,
      fds: [...input.fds, ...opened.values()],
      namespaceSlot: (path) => input.fds.length + paths.indexOf(path),
      planCgroup: (builder) =>
        planCgroup(builder, spec, currentCgroups(), { id: input.id, privileged: facts.privileged }),
      ...(compiled && { filter: { program: compiled.filter, flags: compiled.flags } }),
      init: spec.annotations?.[annotation.init] !== 'false',
    });
    const isolation = describeIsolation({
      spec,
      facts: shared.facts,
      lateral: lease.lateral,
      limits: cgroup.enforced,
    });
    const bytes = encodePlan(plan);
    return { plan, bytes, cgroup, isolation, lease, opened: [...opened.values()] };
  } catch (error) {
    for (const fd of opened.values()) closeSync(fd);
    lease.release();
    throw error;
  }
}

function endOf(prepared: Prepared, report: Report): Ended {
  const { exitCode, signal } = decodeStatus(report.status);
  const reads = report.found.map(({ step, error, data }) => {
    const read = prepared.plan.teardown[step];
    const path = read?.op === 'read' ? read.path : '';
    return error === 0 ? { path, data: data.toString('latin1') } : { path, errno: error };
  });
  const usage = parseUsage(reads, report);
  const { oom, pids } = verdict(usage, report.oom);
  return { exitCode, signal: signal === null ? null : signalName(signal), usage, oom, pids };
}

/** Sends the plan and turns the launcher's reports into one promise for the start, one for the end. */
function start(shared: Supervisor, prepared: Prepared, input: LaunchInput): Promise<Launched> {
  const { plan, bytes, lease } = prepared;
  return new Promise((resolve, reject) => {
    let settleEnd: { resolve: (ended: Ended) => void; reject: (error: Error) => void };
    const ended = new Promise<Ended>((done, fail) => {
      settleEnd = { resolve: done, reject: fail };
    });
    // Whoever gave up waiting must not bring the process down.
    ended.catch(() => {});
    const trace = debugLaunch(input.id, plan);
    const id = shared.launcher.launch(bytes, plan.fds, {
      sent() {
        trace('sent');
        for (const fd of prepared.opened.splice(0)) closeSync(fd);
        input.onSent?.();
      },
      running(report, pidfd) {
        trace('running');
        if (pidfd >= 0) close(pidfd);
        resolve({
          pid: report.pid,
          isolation: prepared.isolation,
          cgroup: prepared.cgroup,
          ended,
          signal: (number) => shared.launcher.signal(id, number),
          kill: () => shared.launcher.kill(id),
        });
      },
      failed(report) {
        const error = launchError(plan, report);
        trace(`failed: ${error.message}`);
        reject(error);
      },
      exited(report) {
        trace('exited');
        settleEnd.resolve(endOf(prepared, report));
      },
      gone(report) {
        trace(report.left === 0 ? 'gone' : `${report.left} teardown steps are retried`);
        if (report.left === 0) lease.release();
      },
      pty: (fd) => (input.onPty === undefined ? close(fd) : input.onPty(fd)),
      lost(error) {
        lease.release();
        reject(error);
        settleEnd.reject(error);
      },
    });
  });
}

/**
 * The story of a launch: decide, encode, hand over, and report. When it rejects, nothing is left.
 * @throws ContainerError and its kinds; a program that fails is not an error
 */
export async function launch(input: LaunchInput): Promise<Launched> {
  try {
    return await carryOut(input);
  } catch (error) {
    throw orScarcity(error);
  }
}

async function carryOut(input: LaunchInput): Promise<Launched> {
  const shared = await supervisor();
  const prepared = prepare(shared, input);
  try {
    return await start(shared, prepared, input);
  } catch (error) {
    // Nothing runs with these ids: either nothing was started, or it has been reaped.
    prepared.lease.release();
    throw error;
  } finally {
    for (const fd of prepared.opened.splice(0)) closeSync(fd);
  }
}

/** The plan that `launch` would hand over; nothing is created, the ids are given back. */
export async function planOf(input: Omit<LaunchInput, 'fds'>): Promise<Plan> {
  const shared = await supervisor();
  const fds = input.spec.process.terminal === true ? [] : [0, 1, 2];
  const prepared = prepare(shared, { ...input, fds });
  for (const fd of prepared.opened) closeSync(fd);
  prepared.lease.release();
  return prepared.plan;
}
