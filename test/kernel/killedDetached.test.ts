import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readState } from '../../lib/detached/state.js';
import { containerDir, listStateDirs, stateFile } from '../../lib/detached/stateDir.js';
import { sweep } from '../../lib/host/sweep.js';
import { Container, createContainer } from '../../lib/index.js';
import type { Plan } from '../../lib/plan/steps.js';
import { atPoints } from '../helpers/atPoints.js';
import { leftOf as leftOfDetached, runtimeDir } from '../helpers/detached.js';
import {
  type Held,
  holdNode,
  leftOf,
  nodeExit,
  samplePoints,
  signalIfThere,
  within,
} from '../helpers/heldNode.js';
import type { KilledDetached } from '../helpers/killedDetached.js';
import { hasEnded } from '../helpers/launches.js';
import { cgroups, command, suite } from '../helpers/needs.js';
import { sentBy } from '../helpers/sentPlans.js';
import {
  buildStoppingLauncher,
  detachedPoints,
  programEndsAt,
  type StopPoint,
} from '../helpers/stops.js';

type Victim = 'the creator' | 'the monitor' | 'both' | 'the first process';
type Signal = 'SIGKILL' | 'SIGSTOP';

const rows: readonly (readonly [Signal, Victim])[] = [
  ['SIGKILL', 'the creator'],
  ['SIGKILL', 'the monitor'],
  ['SIGKILL', 'both'],
  ['SIGKILL', 'the first process'],
  ['SIGSTOP', 'the creator'],
  ['SIGSTOP', 'the monitor'],
  ['SIGSTOP', 'the first process'],
];

/** Everything with `npm run test:killed`; else the named points and three of each section, a third for each. */
const all = process.env.RINGFORT_KILLED === 'all';

/** The plan of a container that is detached. */
async function planOfDetached(): Promise<Plan> {
  const { containers } = await sentBy(async () => {
    const box = await createContainer({ detached: true, command: ['true'], init: true });
    await box.remove({ force: true });
  });
  const [plan] = containers;
  if (plan === undefined) throw new Error('nothing was launched');
  return plan;
}

const needs = [cgroups, runtimeDir, command('c++')];

suite('signals at every stop point of a detached container', needs, () => {
  let launcher: string;
  let temporary: string;
  let points: StopPoint[];
  beforeAll(async () => {
    launcher = buildStoppingLauncher();
    temporary = mkdtempSync(`${tmpdir()}/ringfort-`);
    const every = detachedPoints(await planOfDetached());
    points = all ? every : samplePoints(every);
  });
  afterAll(() => {
    expect(readdirSync(temporary)).toEqual([]);
    rmSync(temporary, { recursive: true });
    rmSync(dirname(launcher), { recursive: true });
  });

  /** What the creator has said, where it has lived. */
  async function saidBy({ node, lines }: Held): Promise<string | undefined> {
    const line = await lines.next();
    await nodeExit(node);
    if (line.done === true) return undefined;
    return (JSON.parse(line.value) as KilledDetached).first;
  }

  /** What is wrong with a container that is found afterwards; it is removed. */
  async function checkKept(
    { id }: Held,
    { said, announced, exit }: { said: string | undefined; announced: boolean; exit?: number },
  ): Promise<string[]> {
    const kept = (await Container.list({ all: true })).find((each) => each.id === id);
    if (kept === undefined) return said === 'made' || announced ? ['not found'] : [];
    const problems: string[] = [];
    if (exit !== undefined && kept.exit?.exitCode !== exit)
      problems.push(`its exit: ${JSON.stringify(kept.exit)}`);
    const box = await Container.open(id);
    if (kept.state === 'running' && readState(id).command?.[0] === 'sleep') {
      const { stdout } = await box.exec('echo', ['whole']);
      if (stdout !== 'whole\n') problems.push(`it runs and says ${stdout}`);
    }
    // Who was told that there is none must not find one.
    if (said !== undefined && said !== 'made' && kept.exit?.reason !== 'lost')
      problems.push(`${said}, and yet it is there: ${kept.state} ${kept.exit?.reason}`);
    await box.remove({ force: true });
    return problems;
  }

  /** @returns what is wrong afterwards */
  async function signal(point: StopPoint, name: Signal, victim: Victim): Promise<string[]> {
    const held = await holdNode({ helper: 'killedDetached.js', launcher, temporary }, point);
    const { node } = held;
    const creator = node.pid ?? 0;
    const pids: (number | undefined)[] = {
      'the creator': [creator],
      'the monitor': [held.launcher],
      both: [creator, held.launcher],
      'the first process': [held.first],
    }[victim];
    const reached = pids.filter((pid) => pid !== undefined);
    for (const pid of reached) signalIfThere(pid, name);
    if (name === 'SIGSTOP') {
      if (!reached.includes(held.held)) signalIfThere(held.held, 'SIGCONT');
      // As far as the others come without it.
      await sleep(20);
      for (const pid of reached) signalIfThere(pid, 'SIGCONT');
    }
    signalIfThere(held.held, 'SIGCONT');
    const said = await saidBy(held);
    const problems: string[] = [];
    const untouched = name === 'SIGSTOP' || reached.length === 0;
    if (untouched && said !== 'made') problems.push(`the creator said ${said}`);
    if (said !== undefined && !/^(made|ERR_[A-Z_]+)$/.test(said)) problems.push(said);
    // A launcher whose creator is dead ends, or has been told to go on alone: until its container ends.
    const dead = () => held.family.every(hasEnded);
    const alone = () => existsSync(join(containerDir(held.id), stateFile.state));
    const ends = programEndsAt(point);
    const killed = name === 'SIGKILL' && reached.includes(held.launcher);
    const lives = !killed && !ends && !(name === 'SIGKILL' && victim === 'the first process');
    await within(() => dead() || (lives && alone()));
    // As the next start does.
    if (killed) await sweep(dirname(held.journal));
    // A creator that hears of the monitor's death instead of its answer undoes all.
    const undone = killed && said !== undefined;
    const announced = ends || (point.title === 'detachAnnounced' && !undone);
    const known = ends && (!killed || point.title === 'exitKept');
    problems.push(...(await checkKept(held, { said, announced, ...(known && { exit: 0 }) })));
    await within(() => held.family.every(hasEnded));
    const left = () => {
      listStateDirs();
      return [...new Set([...leftOf(held), ...leftOfDetached(held.id)])];
    };
    await within(async () => {
      // Again, as whoever starts next does: guests that are dying have cgroups until they are dead.
      if (killed) await sweep(dirname(held.journal));
      return left().length === 0;
    });
    return [...problems, ...left()].map((problem) => `${point.title}: ${problem}`);
  }

  test.each(rows)(
    '%s to %s: a whole container, one that is lost, or nothing',
    async (name, victim) => {
      expect(points.length).toBeGreaterThan(15);
      const turn = rows.findIndex((row) => row[0] === name && row[1] === victim);
      const queue = points.filter((_, at) => all || at % 3 === turn % 3);
      const what = `${name} to ${victim} of a detached container`;
      expect(await atPoints(what, queue, (point) => signal(point, name, victim))).toEqual([]);
    },
    all ? 1_800_000 : 600_000,
  );
});
