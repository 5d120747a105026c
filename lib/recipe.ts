import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { type CgroupHost, currentCgroups } from './cgroups/index.js';
import type { ReadPaths } from './follow.js';
import { readPaths } from './follow.js';
import { checkIds } from './host/checkIds.js';
import { hostEntries } from './host/hostEntries.js';
import type { IdLease } from './host/idRanges.js';
import type { Isolation } from './isolation.js';
import type { RunnableSpec } from './launch.js';
import type { RunOptions } from './options.js';
import { askForTrace, encodePlan } from './plan/encode.js';
import { renamePlan } from './plan/rename.js';
import type { HostEntry } from './policy/facts.js';
import { type Compiled, compile, leaseFor, type Prepared } from './prepare.js';
import { annotation } from './spec/annotations.js';
import { namespaceTypes } from './spec/namespaces.js';
import { rootKind } from './spec/rootKind.js';
import { isBind } from './spec/rules/mounts.js';
import type { Spec } from './spec/types.js';
import { newId, specOf } from './specOf.js';
import type { Supervisor } from './supervisor.js';
import { mark, tracing } from './trace.js';

// Launches of the same options differ in three things: the container's id, its range of ids and
// its descriptors. The last are not in a plan's bytes; for the others a plan is made once with
// stand-ins of fixed length, and each launch writes its own over them (docs/decisions/0008).

/** Stands for an id, which has as many digits; nobody outside sees it, so nobody can mean it. */
const idStandIn = newId();

/** Stands for the first host id of a range, of which none begins that high. */
const baseStandIn = 4_000_000_000 + randomInt(200_000_000);
const baseDigits = String(baseStandIn).length;
/** It stands in the two id maps. */
const basePlaces = 2;

const rangeSize = 65_536;

/** Most recipes that are kept, and the longest key of one, in characters. */
const maxRecipes = 16;
const maxKey = 16_384;

/** Everything that a plan was made from besides the spec. It is made again when one has changed. */
interface Surroundings {
  shared: Supervisor['facts'];
  entries: readonly HostEntry[];
  cgroups: CgroupHost;
  onlineCpus: string;
}

interface Made extends Compiled {
  surroundings: Surroundings;
  lateral: IdLease['lateral'];
  bytes: Buffer;
  /** Where the stand-ins are in it. */
  ids: readonly number[];
  bases: readonly number[];
  reads: ReadPaths;
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Text that is the same for the same value; throws for what is more than data. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' || typeof value === 'boolean' || value == null)
    return Object.is(value, -0) ? '-0' : String(value);
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`;
  if (typeof value !== 'object' || !isPlain(value)) throw new TypeError('more than data');
  return `{${Object.entries(value)
    .map(([name, each]) => `${JSON.stringify(name)}:${textOf(each)}`)
    .join()}}`;
}

/** A name for all that a spec is compiled from; `undefined` where it would not say everything. */
function keyOf(file: string, args: readonly string[], options: RunOptions): string | undefined {
  const { signal, input, ...rest } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) return undefined;
  const data = typeof input === 'string' || input instanceof Uint8Array;
  if (input !== undefined && !data && !(input instanceof Readable)) return undefined;
  try {
    if (!isPlain(options) || Object.getOwnPropertySymbols(options).length > 0) return undefined;
    const key = textOf([file, args, rest]);
    return key.length <= maxKey ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Whether no more of the host is in it than `Surroundings` has. */
function standsAlone(spec: Spec): boolean {
  const notes = spec.annotations ?? {};
  const { namespaces, uidMappings, gidMappings } = spec.linux;
  const own = namespaceTypes
    .filter((type) => type !== 'time')
    .every((type) => namespaces.some((each) => each.type === type && each.path === undefined));
  return (
    own &&
    rootKind(spec) === 'host' &&
    uidMappings === undefined &&
    gidMappings === undefined &&
    !(spec.mounts ?? []).some((mount) => isBind(mount) || mount.type === 'overlay') &&
    ![annotation.user, annotation.idPool, annotation.io, annotation.cgroupParent].some(
      (name) => notes[name] !== undefined,
    )
  );
}

function onlineCpus(): string {
  try {
    return readFileSync('/sys/devices/system/cpu/online', 'utf8');
  } catch {
    return '';
  }
}

/** Every place where a text stands in bytes. */
function placesOf(bytes: Buffer, text: string): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length))
    places.push(at);
  return places;
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

/** What `run` has found out about some options, for the next time. */
export class Recipe {
  readonly #spec: RunnableSpec;
  #made: Made | undefined;

  constructor(spec: RunnableSpec) {
    this.#spec = spec;
  }

  /** A spec, with a stand-in for the id. */
  get spec(): RunnableSpec {
    return this.#spec;
  }

  /**
   * Decides everything about a launch, as `prepare`, of which it is the short way.
   * @returns undefined where that cannot be: it has to be gone the long way
   * @throws as `prepare`
   */
  prepare(shared: Supervisor, id: string, fds: readonly number[]): Prepared | undefined {
    if (id.length !== idStandIn.length) return undefined;
    const lease = leaseFor(shared, this.#spec);
    try {
      const base = baseOf(lease);
      if (base === undefined) {
        lease.release();
        return undefined;
      }
      const made = this.#make(shared, lease, id, fds);
      // The same number among the caller's words is not to be written over.
      if (made.bases.length !== basePlaces) {
        lease.release();
        return undefined;
      }
      return this.#fill(made, id, base, fds, lease);
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  /** A launch has failed: what it was made from may not be so any more. */
  forget(): void {
    this.#made = undefined;
  }

  #make(shared: Supervisor, lease: IdLease, id: string, fds: readonly number[]): Made {
    const surroundings: Surroundings = {
      shared: shared.facts,
      entries: hostEntries(),
      cgroups: currentCgroups(),
      onlineCpus: onlineCpus(),
    };
    mark(id, 'facts known');
    const { lateral } = lease;
    const last = this.#made;
    if (
      last !== undefined &&
      last.lateral === lateral &&
      (Object.keys(surroundings) as (keyof Surroundings)[]).every(
        (name) => last.surroundings[name] === surroundings[name],
      )
    ) {
      return last;
    }
    const map = [{ containerID: 0, hostID: baseStandIn, size: rangeSize }];
    const maps = { uidMappings: map, gidMappings: map, denySetgroups: false, lateral };
    checkIds(this.#spec.process.user, maps);
    const compiled = compile(shared, this.#spec, maps, { id: idStandIn, fds, opened: new Map() });
    const bytes = encodePlan(compiled.plan);
    const made: Made = {
      ...compiled,
      surroundings,
      lateral,
      bytes,
      ids: placesOf(bytes, idStandIn),
      bases: placesOf(bytes, String(baseStandIn)),
      reads: readPaths(compiled.plan),
    };
    // What was switched on in the parent cgroup need not be again.
    const enables = compiled.plan.prepare.some(
      (step) => step.op === 'write' && step.path.endsWith('/cgroup.subtree_control'),
    );
    this.#made = enables ? undefined : made;
    return made;
  }

  #fill(made: Made, id: string, base: number, fds: readonly number[], lease: IdLease): Prepared {
    const bytes = Buffer.from(made.bytes);
    const digits = String(base).padStart(baseDigits, '0');
    for (const at of made.ids) bytes.write(id, at, 'latin1');
    for (const at of made.bases) bytes.write(digits, at, 'latin1');
    const own = (text: string) => text.replaceAll(idStandIn, id);
    const { paths, usageFiles } = made.cgroup;
    const map = [{ containerID: 0, hostID: base, size: rangeSize }];
    const names: [string, string][] = [
      [idStandIn, id],
      [String(baseStandIn), digits],
    ];
    const plan = () => renamePlan({ ...made.plan, fds }, names);
    if (tracing()) askForTrace(bytes);
    mark(id, 'plan made');
    return {
      get plan() {
        return plan();
      },
      bytes,
      fds,
      reads: made.reads,
      serves: false,
      cgroup: {
        ...made.cgroup,
        paths: {
          ...(paths.unified !== undefined && { unified: own(paths.unified) }),
          v1: Object.fromEntries(Object.entries(paths.v1).map(([name, dir]) => [name, own(dir)])),
        },
        usageFiles: usageFiles.map(own),
      },
      isolation: copyIsolation(made.isolation),
      spec: this.#spec,
      lease,
      opened: [],
      facts: { ...made.facts, uidMappings: map, gidMappings: map },
    };
  }
}

/** By key, the one that was used last at the end; `undefined` for what has none. */
const recipes = new Map<string, Recipe | undefined>();

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
  const key = keyOf(file, args, options);
  if (key === undefined) return undefined;
  let recipe = recipes.get(key);
  if (!recipes.delete(key)) {
    const spec = specOf(idStandIn, file, args, options);
    recipe = standsAlone(spec) ? new Recipe(spec) : undefined;
  }
  recipes.set(key, recipe);
  const [oldest] = recipes.keys();
  if (recipes.size > maxRecipes && oldest !== undefined) recipes.delete(oldest);
  return recipe;
}
