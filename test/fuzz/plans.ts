import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { planCgroup } from '../../lib/cgroups/plan.js';
import { checkSources } from '../../lib/host/checkSources.js';
import { realSources } from '../../lib/host/realSources.js';
import { rootFacts } from '../../lib/host/rootFacts.js';
import { lookUpUser } from '../../lib/host/userLookup.js';
import type { RunnableSpec } from '../../lib/launch.js';
import { describePlan } from '../../lib/plan/describe.js';
import { encodePlan } from '../../lib/plan/encode.js';
import type { Plan } from '../../lib/plan/steps.js';
import type { Facts } from '../../lib/policy/facts.js';
import { compilePlan } from '../../lib/policy/order.js';
import { compileProgram } from '../../lib/policy/program.js';
import { filterOf } from '../../lib/prepare.js';
import { Resolve } from '../../lib/sys/constants.js';
import { fixedFacts, userFacts } from '../helpers/facts.js';
import { cgroupHost } from './scratch.js';
import { must, orRefusal } from './target.js';

/** Plans that were made of accepted specs, for the reader of native/launcher. */
const waiting: { bytes: Buffer; spec: RunnableSpec }[] = [];

/** Built beside the fuzzers of C++ (scripts/fuzz.sh). */
const checker = fileURLToPath(new URL('../../../build-fuzz/plan_check', import.meta.url));

/** What `launch` does between a checked spec and a plan; nothing is created. */
export function planOf(given: RunnableSpec, host: Facts, lives: boolean): Plan {
  const found = realSources(given);
  checkSources(found);
  const user = lookUpUser(found);
  const spec = user === undefined ? found : { ...found, process: { ...found.process, user } };
  const facts: Facts = { ...host, ...rootFacts(spec) };
  const fds = spec.process.terminal === true ? [] : [0, 1, 2];
  const joined = spec.linux.namespaces.flatMap(({ path }) => path ?? []);
  const nested = lives ? { nested: { rootUid: 524288 } } : {};
  return compilePlan({
    spec,
    facts,
    fds: [...fds, ...joined.map((_, i) => 10 + i)],
    namespaceSlot: (path) => fds.length + joined.indexOf(path),
    planCgroup: (builder) =>
      planCgroup(builder, spec, cgroupHost, {
        id: 'box',
        privileged: host.privileged,
        ...nested,
      }),
    ...filterOf(spec, facts),
    init: lives ? 'serve' : 'run',
  }).plan;
}

function programPlanOf(spec: RunnableSpec, facts: Facts): Plan {
  const cgroup = { paths: { v1: {} }, unshareCgroupNs: false, usageFiles: [], enforced: [] };
  const input = { spec, facts, fds: [0, 1, 2], ...filterOf(spec, facts) };
  return compileProgram({ ...input, planCgroup: () => cgroup, join: false }).plan;
}

/** Whatever a destination looks like, no link leads to where the kernel's own files are. */
function checkAttached({ child }: Plan): void {
  for (const step of child) {
    if (step.op !== 'attach' || !step.path.startsWith('/')) continue;
    const strict = (step.resolve & BigInt(Resolve.RESOLVE_NO_SYMLINKS)) !== 0n;
    const ofKernel = /^\/(proc|sys|dev)(\/|$)/.test(posix.resolve('/', step.path));
    must(strict || !ofKernel, `links are followed to ${step.path}`);
  }
}

function keep(plan: Plan | undefined, spec: RunnableSpec): void {
  if (plan === undefined) return;
  checkAttached(plan);
  must(describePlan(plan).length > 0, 'a plan in words');
  const bytes = orRefusal(() => encodePlan(plan));
  if (bytes !== undefined) waiting.push({ bytes, spec });
}

/** A spec that was accepted becomes a plan, in words and bytes, or is refused by name. */
export function checkPlansOf(spec: RunnableSpec): void {
  for (const facts of [fixedFacts, userFacts]) {
    keep(
      orRefusal(() => planOf(spec, facts, facts.privileged)),
      spec,
    );
  }
}

/** The same for one more program in a container. */
export function checkProgramPlan(spec: RunnableSpec): void {
  keep(
    orRefusal(() => programPlanOf(spec, fixedFacts)),
    spec,
  );
}

/** The launcher's reader accepts what was encoded. */
export function checkWithReader(): void {
  must(existsSync(checker), `${checker} is not there: scripts/fuzz.sh builds it`);
  const plans = waiting.splice(0);
  const size = (bytes: Buffer) => {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(bytes.length);
    return word;
  };
  const input = Buffer.concat(plans.flatMap(({ bytes }) => [size(bytes), bytes]));
  const { status, stdout, stderr } = spawnSync(checker, { input, encoding: 'utf8' });
  if (status === 0 && stdout.endsWith(`${plans.length} plans\n`)) return;
  const spec = plans[Number.parseInt(stdout, 10)]?.spec;
  throw new Error(`the reader refuses a plan: ${stdout}${stderr}${inspect(spec, { depth: 9 })}`);
}
