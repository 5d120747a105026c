import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sweep } from '../../lib/host/sweep.js';
import { planOf } from '../../lib/launch.js';
import { newId, specOf } from '../../lib/specOf.js';
import { atPoints } from '../helpers/atPoints.js';
import { execPoints } from '../helpers/execPoints.js';
import {
  type Held,
  holdNode,
  leftOf,
  nodeExit,
  samplePoints,
  signalIfThere,
  within,
} from '../helpers/heldNode.js';
import type { KilledExec } from '../helpers/killedExec.js';
import { hasEnded } from '../helpers/launches.js';
import { descendants, processName } from '../helpers/leaks.js';
import { cgroups, command, suite } from '../helpers/needs.js';
import { buildStoppingLauncher, type StopPoint, stopPoints } from '../helpers/stops.js';

const victims = ['Node', 'the launcher', 'the first process', 'the one that is held'] as const;
type Victim = (typeof victims)[number];
type Then = 'goes on' | 'is killed';

const thens: readonly Then[] = ['goes on', 'is killed'];

/** What a process is at: its name, and the system call and the place in the kernel. */
function where(pid: number): string {
  const read = (file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'latin1').trim();
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code);
    }
  };
  const state = /^State:.*$/m.exec(read('status'))?.[0];
  return `${pid} ${processName(pid)}: ${state}, ${read('wchan')}, ${read('syscall')}, ${read('stack')}`;
}

/** Everything with `npm run test:killed`; else each victim has an eighth of a sample. */
const all = process.env.RINGFORT_KILLED === 'all';

async function launchPoints(): Promise<StopPoint[]> {
  const id = newId();
  return stopPoints(await planOf({ id, spec: specOf(id, 'sleep', ['600'], {}) }));
}

const whats = [
  ['a launch', 'killedNode.js', launchPoints, []],
  ['a program in a container', 'killedExec.js', () => execPoints('init'), ['init']],
  ['a program that joins one', 'killedExec.js', () => execPoints('join'), ['join']],
  ['a program that is parked', 'killedPool.js', () => execPoints('park'), ['park']],
  ['a parked program that is released', 'killedPool.js', () => execPoints('release'), ['release']],
  ['an agent for files', 'killedExec.js', () => execPoints('files'), ['files']],
] as const;

suite('SIGSTOP at every stop point', [cgroups, command('c++')], () => {
  let launcher: string;
  let temporary: string;
  beforeAll(() => {
    launcher = buildStoppingLauncher();
    temporary = mkdtempSync(`${tmpdir()}/ringfort-`);
  });
  afterAll(() => {
    expect(readdirSync(temporary)).toEqual([]);
    rmSync(temporary, { recursive: true });
    rmSync(dirname(launcher), { recursive: true });
  });

  describe.each(whats)('%s', (what, helper, pointsOf, extra) => {
    let points: StopPoint[];
    beforeAll(async () => {
      const every = await pointsOf();
      points = all ? every : samplePoints(every);
    });

    /** Whether what was held up has come as far as it would have: its program runs, or has ended. */
    async function goesOn({ node, lines, launcher: of }: Held): Promise<string[]> {
      let said: KilledExec | undefined;
      const line = lines.next().then(({ value, done }) => {
        if (done !== true) said = JSON.parse(value as string) as KilledExec;
      });
      const runs = () => descendants(of).some((pid) => processName(pid) === 'sleep');
      const over = () => node.exitCode !== null || node.signalCode !== null;
      const came = await within(() => runs() || said !== undefined || over());
      if (!came)
        return ['it does not go on', ...[node.pid ?? 0, of, ...descendants(of)].map(where)];
      const ends = !runs();
      if (ends) {
        await line;
        await nodeExit(node);
      }
      const good = !ends || (said?.first === 'exit 0' && node.exitCode === 0);
      const how = node.exitCode ?? node.signalCode;
      return good ? [] : [`Node: ${how}, said ${JSON.stringify(said)}`];
    }

    /** @returns what is wrong afterwards */
    async function stop(point: StopPoint, victim: Victim, then: Then): Promise<string[]> {
      const held = await holdNode({ helper, launcher, temporary, extra }, point);
      const { node } = held;
      const pids: Record<Victim, number | undefined> = {
        Node: node.pid,
        'the launcher': held.launcher,
        'the first process': held.first,
        'the one that is held': held.held,
      };
      const pid = pids[victim];
      const problems: string[] = [];
      if (pid !== undefined && !hasEnded(pid)) {
        signalIfThere(pid, 'SIGSTOP');
        if (pid !== held.held) signalIfThere(held.held, 'SIGCONT');
        // As far as the others come without it.
        await sleep(20);
        signalIfThere(pid, then === 'goes on' ? 'SIGCONT' : 'SIGKILL');
        if (then === 'goes on') problems.push(...(await goesOn(held)));
      }
      const family = [...held.family, ...descendants(held.launcher)];
      signalIfThere(held.held, 'SIGCONT');
      signalIfThere(node.pid ?? 0, 'SIGKILL');
      await nodeExit(node);
      const after = { ...held, family: [...new Set(family)] };
      await within(() => after.family.every(hasEnded));
      // Node has not lived to do it.
      await sweep(dirname(held.journal));
      await within(() => leftOf(after).length === 0);
      return [...problems, ...leftOf(after)].map((problem) => `${point.title}: ${problem}`);
    }

    const rows = victims.flatMap((victim) => thens.map((then) => [victim, then] as const));
    test.each(rows)(
      'of %s, which then %s: nothing is left',
      async (victim, then) => {
        expect(points.length).toBeGreaterThan(
          /^(park|release|files)$/.test(extra[0] ?? '') ? 10 : 15,
        );
        const turn = rows.findIndex((row) => row[0] === victim && row[1] === then);
        const queue = points.filter((_, at) => all || at % rows.length === turn);
        const title = `SIGSTOP of ${victim}, which then ${then}, in ${what}`;
        expect(await atPoints(title, queue, (point) => stop(point, victim, then))).toEqual([]);
      },
      all ? 1_800_000 : 600_000,
    );
  });
});
