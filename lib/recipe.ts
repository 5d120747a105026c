import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type CgroupHost, type CgroupPlan, currentCgroups } from './cgroups/index.js';
import { type ReadPaths, readPaths } from './follow.js';
import { checkIds } from './host/checkIds.js';
import { hostEntries } from './host/hostEntries.js';
import type { IdLease } from './host/idRanges.js';
import { resolvConfOf } from './host/rootFacts.js';
import type { Isolation } from './isolation.js';
import type { RunnableSpec } from './launch.js';
import type { RunOptions } from './options.js';
import { keyOf } from './optionsKey.js';
import { Stencil } from './plan/stencil.js';
import type { HostEntry } from './policy/facts.js';
import { type Compiled, compile, leaseFor, type Prepared } from './prepare.js';
import { RecentMap } from './recentMap.js';
import { annotation } from './spec/annotations.js';
import { defaultMaskedPaths } from './spec/defaults.js';
import { namespaceMode, namespaceTypes } from './spec/namespaces.js';
import { rootKind } from './spec/rootKind.js';
import { isBind } from './spec/rules/mounts.js';
import type { Spec } from './spec/types.js';
import { newId, specOf } from './specOf.js';
import type { Supervisor } from './supervisor.js';
import { mark, tracing } from './trace.js';

// Launches of the same options differ in three things: the container's id, its range of ids and
// its descriptors. The last are not in a plan's bytes; for the others a plan is made once with
// stand-ins, and each launch writes its own over them (docs/decisions/0008-cold-launch.md).

/** Stands for an id, which has as many digits; nobody outside sees it, so nobody can mean it. */
export const idStandIn = newId();

/** Stands for the first host id of a range, of which none begins that high. */
const baseStandIn = 4_000_000_000 + randomInt(200_000_000);
const baseDigits = String(baseStandIn).length;
/** It stands in the two id maps. */
const basePlaces = 2;
const standIns = [idStandIn, String(baseStandIn)];

const rangeSize = 65_536;

/** Everything that a plan was made from besides the spec. It is made again when one has changed. */
interface Surroundings {
  shared: Supervisor['facts'];
  entries: readonly HostEntry[];
  cgroups: CgroupHost;
  /** For masked paths with `*`, and for limits of swap. */
  onlineCpus: string;
  swaps: string;
  resolvConf: string | undefined;
  lateral: IdLease['lateral'];
}

interface Made extends Compiled {
  surroundings: Surroundings;
  stencil: Stencil;
  reads: ReadPaths;
}

/** Whether no more of the host is in it than `Surroundings` has. */
function standsAlone(spec: Spec): boolean {
  const notes = spec.annotations ?? {};
  const { namespaces, uidMappings, gidMappings, maskedPaths = [], resources = {} } = spec.linux;
  const { cpu, blockIO } = resources;
  const own = namespaceTypes
    .filter((type) => type !== 'time' && type !== 'network')
    .every((type) => namespaceMode(namespaces, type) === 'new');
  return (
    own &&
    namespaces.every(({ path }) => path === undefined) &&
    rootKind(spec) === 'host' &&
    uidMappings === undefined &&
    gidMappings === undefined &&
    // Of sysfs only the CPUs that are online are compared, and of the parent cgroup nothing.
    maskedPaths.every((path) => !path.includes('*') || defaultMaskedPaths.includes(path)) &&
    [cpu?.cpus, cpu?.mems, blockIO].every((limit) => limit === undefined) &&
    !(spec.mounts ?? []).some((mount) => isBind(mount) || mount.type === 'overlay') &&
    ![annotation.user, annotation.idPool, annotation.io, annotation.cgroupParent].some(
      (name) => notes[name] !== undefined,
    )
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The first host id of a lease that is one whole range of its own. */
function baseOf({ uidMappings, gidMappings, denySetgroups }: IdLease): number | undefined {
  const [uids, gids] = [uidMappings[0], gidMappings[0]];
  const whole =
    !denySetgroups &&
    uidMappings.length === 1 &&
    gidMappings.length === 1 &&
    uids?.containerID === 0 &&
    gids?.containerID === 0 &&
    uids.size === rangeSize &&
    gids.size === rangeSize &&
    uids.hostID === gids.hostID;
  return whole ? uids?.hostID : undefined;
}

/** A result is the caller's to change. */
function copyIsolation({ asked, enforced, missing }: Isolation): Isolation {
  return {
    asked: [...asked],
    enforced: [...enforced],
    missing: missing.map((each) => ({ ...each })),
  };
}

/** A plan of cgroups with the stand-in in their names, as that of the id. */
export function nameCgroups(cgroup: CgroupPlan, id: string): CgroupPlan {
  const own = (text: string) => text.replaceAll(idStandIn, id);
  const { unified, v1 } = cgroup.paths;
  return {
    ...cgroup,
    paths: {
      ...(unified !== undefined && { unified: own(unified) }),
      v1: Object.fromEntries(Object.entries(v1).map(([name, dir]) => [name, own(dir)])),
    },
    usageFiles: cgroup.usageFiles.map(own),
  };
}

/** What `run` has found out about some options, for the next time. */
export class Recipe {
  /** With a stand-in for the id. */
  readonly spec: RunnableSpec;
  #made: Made | undefined;

  constructor(spec: RunnableSpec) {
    this.spec = spec;
  }

  /**
   * Decides everything about a launch, as `prepare`, of which it is the short way.
   * @returns undefined where that cannot be: it has to be gone the long way
   * @throws as `prepare`
   */
  prepare(shared: Supervisor, id: string, fds: readonly number[]): Prepared | undefined {
    const lease = leaseFor(shared, this.spec);
    try {
      const base = baseOf(lease);
      const made = base === undefined ? undefined : this.#make(shared, lease, id, fds);
      // The same number among the caller's words is not to be written over.
      if (base !== undefined && made?.stencil.count(String(baseStandIn)) === basePlaces)
        return this.#fill(made, { id, base, fds, lease });
    } catch (error) {
      lease.release();
      throw error;
    }
    lease.release();
    return undefined;
  }

  /** A launch has failed: what it was made from may not be so any more. */
  forget(): void {
    this.#made = undefined;
  }

  #make(shared: Supervisor, { lateral }: IdLease, id: string, fds: readonly number[]): Made {
    const surroundings: Surroundings = {
      shared: shared.facts,
      entries: hostEntries(),
      cgroups: currentCgroups(),
      onlineCpus: read('/sys/devices/system/cpu/online'),
      swaps: read('/proc/swaps'),
      resolvConf: resolvConfOf(this.spec),
      lateral,
    };
    mark(id, 'facts known');
    const last = this.#made;
    const names = Object.keys(surroundings) as (keyof Surroundings)[];
    if (last !== undefined && names.every((name) => last.surroundings[name] === surroundings[name]))
      return last;
    const map = [{ containerID: 0, hostID: baseStandIn, size: rangeSize }];
    const maps = { uidMappings: map, gidMappings: map, denySetgroups: false, lateral };
    checkIds(this.spec.process.user, maps);
    const compiled = compile(shared, this.spec, maps, { id: idStandIn, fds, opened: new Map() });
    const { plan } = compiled;
    const stencil = new Stencil(plan, standIns);
    const made = { ...compiled, surroundings, stencil, reads: readPaths(plan) };
    // What was switched on in the parent cgroup need not be again.
    const enables = plan.prepare.some(
      (step) => step.op === 'write' && step.path.endsWith('/cgroup.subtree_control'),
    );
    this.#made = enables ? undefined : made;
    return made;
  }

  #fill(
    made: Made,
    { id, base, fds, lease }: { id: string; base: number; fds: readonly number[]; lease: IdLease },
  ): Prepared {
    const { stencil } = made;
    const texts = [id, String(base).padStart(baseDigits, '0')];
    const bytes = stencil.fill(texts, tracing());
    mark(id, 'plan encoded');
    const { uidMappings, gidMappings } = lease;
    return {
      get plan() {
        return stencil.plan(texts, fds);
      },
      bytes,
      fds,
      reads: made.reads,
      serves: false,
      cgroup: nameCgroups(made.cgroup, id),
      isolation: copyIsolation(made.isolation),
      spec: this.spec,
      facts: { ...made.facts, uidMappings, gidMappings },
      lease,
      opened: [],
    };
  }
}

const recipes = new RecentMap<Recipe | undefined>(16);

/**
 * What is known already of these options.
 * @returns undefined where nothing can be kept of them
 * @throws as `specOf`
 */
export function recipeOf(
  file: string,
  args: readonly string[],
  options: RunOptions,
): Recipe | undefined {
  const keyed = keyOf(file, args, options);
  if (keyed === undefined) return undefined;
  // Of the copy alone: what the caller does to his objects afterwards is nobody else's affair.
  return recipes.get(keyed.key, () => {
    const spec = specOf(idStandIn, file, keyed.args, keyed.options);
    return standsAlone(spec) ? new Recipe(spec) : undefined;
  });
}
