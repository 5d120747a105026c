import type { CgroupPlan } from './cgroups/index.js';
import { type ReadPaths, readPaths } from './follow.js';
import type { Launched, RunnableSpec } from './launch.js';
import { keyOf } from './optionsKey.js';
import { Stencil } from './plan/stencil.js';
import { compileLaunch, type Encoded, type ProgramLaunch } from './program.js';
import { RecentMap } from './recentMap.js';
import { idStandIn, nameCgroups } from './recipe.js';
import { annotation } from './spec/annotations.js';
import type { Program } from './spec/program.js';
import { programSpecOf } from './specOf.js';
import { tracing } from './trace.js';

interface Made {
  cgroup: CgroupPlan;
  stencil: Stencil;
  reads: ReadPaths;
}

/** What a container has found out about a program, for the next time that it is started. */
export class ProgramRecipe {
  readonly spec: RunnableSpec;
  #made: Made | undefined;

  constructor(spec: RunnableSpec) {
    this.spec = spec;
  }

  /**
   * The plan of a program with nothing of its own but a name and descriptors.
   * @throws as `compileLaunch`
   */
  prepare(container: Launched, { execId, fds }: Pick<ProgramLaunch, 'execId' | 'fds'>): Encoded {
    this.#made ??= this.#make(container, fds);
    const { stencil, cgroup, reads } = this.#made;
    return {
      get plan() {
        return stencil.plan([execId], fds);
      },
      bytes: stencil.fill([execId], tracing()),
      cgroup: nameCgroups(cgroup, execId),
      reads,
      fds,
    };
  }

  /** A start has failed: what it was made from may not be so any more. */
  forget(): void {
    this.#made = undefined;
  }

  #make(container: Launched, fds: readonly number[]): Made {
    const input = { execId: idStandIn, spec: this.spec, resources: {}, fds };
    const { plan, cgroup } = compileLaunch(container, input);
    return { cgroup, stencil: new Stencil(plan, [idStandIn]), reads: readPaths(plan) };
  }
}

/** Of all containers together: what is kept must not grow with them. */
const recipes = new RecentMap<ProgramRecipe | undefined>(32);
const numbers = new WeakMap<CgroupPlan, number>();
let lastNumber = 0;

function numberOf({ cgroup }: Launched): number {
  const number = numbers.get(cgroup) ?? ++lastNumber;
  numbers.set(cgroup, number);
  return number;
}

/**
 * What is known already of a program in a container.
 * @returns undefined where nothing can be kept of it: limits of its own, a user to look up
 * @throws as `programSpecOf`
 */
export function programRecipeOf(
  container: Launched,
  program: Program,
  kind: 'exec' | 'spawn',
): ProgramRecipe | undefined {
  const { file } = program;
  const keyed = keyOf(file, program.args, program.options);
  if (keyed === undefined || 'limits' in keyed.options) return undefined;
  const { key, args, options } = keyed;
  return recipes.get(`${numberOf(container)} ${kind} ${key}`, () => {
    const spec = programSpecOf(container.inside.spec, { file, args, options }, kind);
    return spec.annotations?.[annotation.user] === undefined ? new ProgramRecipe(spec) : undefined;
  });
}
