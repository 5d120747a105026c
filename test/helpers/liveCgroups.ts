import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CgroupPlan,
  detectCgroups,
  type ExecOptions,
  planCgroup,
  planExecCgroup,
} from '../../lib/cgroups/index.js';
import { PlanBuilder } from '../../lib/plan/builder.js';
import type { Step } from '../../lib/plan/steps.js';
import type { SpecResources } from '../../lib/spec/types.js';
import { spec } from './fakeCgroups.js';

/** Removes a cgroup: a killed process leaves it a moment after its parent has been told. */
export async function removeCgroup(path: string): Promise<void> {
  for (let left = 1000; existsSync(path); left--) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (left === 0) throw error;
      await sleep(20);
    }
  }
}

/** What the launcher would do with a step that makes a cgroup. */
function carryOut(step: Step): void {
  if (step.op === 'mkdir') mkdirSync(step.path, { mode: step.mode });
  else if (step.op === 'write') writeFileSync(step.path, step.data);
  else if (step.op === 'chown') chownSync(step.path, step.uid, 0);
}

let count = 0;

/** The cgroups of a container that lives, with shells in them instead of a container. */
export class LiveCgroups {
  readonly plan: CgroupPlan;
  readonly #builders: PlanBuilder[] = [];
  readonly #children: ChildProcess[] = [];
  readonly #privileged: boolean;

  constructor(resources: SpecResources, rootUid?: number, host = detectCgroups()) {
    const builder = new PlanBuilder();
    this.#builders.push(builder);
    this.#privileged = process.getuid?.() === 0;
    const id = `live-${process.pid}-${count++}`;
    const options = { id, privileged: this.#privileged, nested: { rootUid } };
    this.plan = planCgroup(builder, spec(resources), host, options);
    for (const step of builder.prepare) carryOut(step);
  }

  /** Makes the cgroups of one program. */
  exec(options: ExecOptions): CgroupPlan {
    const builder = new PlanBuilder();
    this.#builders.unshift(builder);
    const { nested } = this.plan;
    if (nested === undefined) throw new Error('not nested');
    const plan = planExecCgroup(builder, nested, options);
    for (const step of builder.prepare) carryOut(step);
    return plan;
  }

  /** A shell that goes on once it is in these cgroups. */
  async run(plan: CgroupPlan, script: string, uid = 0): Promise<ChildProcess> {
    const own = plan === this.plan;
    const { unified, v1 } = plan.paths;
    const child = spawn('sh', ['-c', `read go; ${script}`], {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(uid !== 0 && { uid, gid: uid }),
    });
    this.#children.push(child);
    // A program is in its container's cgroups wherever it has none of its own.
    for (const dir of Object.values({ ...this.plan.paths.v1, ...v1 })) {
      writeFileSync(join(dir, 'tasks'), String(child.pid));
    }
    const leaf = own && unified !== undefined ? join(unified, 'init') : unified;
    if (leaf !== undefined) writeFileSync(join(leaf, 'cgroup.procs'), String(child.pid));
    child.stdin?.write('go\n');
    return child;
  }

  /** Ends what runs in them, and removes them; what is left then is in the list. */
  async remove(): Promise<string[]> {
    const writes = this.#builders.flatMap(({ teardown }) => teardown);
    for (const step of writes) if (step.op === 'write' && existsSync(step.path)) carryOut(step);
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const dirs = writes.flatMap((step) => (step.op === 'rmdir' ? [step.path] : []));
    for (const dir of dirs) await removeCgroup(dir);
    return dirs.filter((dir) => existsSync(dir));
  }
}
