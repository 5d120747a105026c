import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sweep } from '../../lib/host/sweep.js';
import { atPoints } from '../helpers/atPoints.js';
import { execPoints, styles } from '../helpers/execPoints.js';
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
import { cgroups, command, suite } from '../helpers/needs.js';
import { buildStoppingLauncher, type StopPoint } from '../helpers/stops.js';

type Victim = 'Node' | 'the launcher' | 'both' | 'the container’s first process' | 'the program';

const victims: readonly Victim[] = [
  'Node',
  'the launcher',
  'both',
  'the container’s first process',
  'the program',
];

/**
 * Everything with `npm run test:killed`; else the named points and three of each section, for each
 * victim every fifth of them.
 */
const all = process.env.RINGFORT_KILLED === 'all';

suite('kill -9 at every stop point of a program in a container', [cgroups, command('c++')], () => {
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

  describe.each(styles)('%s', (style) => {
    const pooled = style === 'park' || style === 'release';
    let points: StopPoint[];
    beforeAll(async () => {
      const every = await execPoints(style);
      points = all ? every : samplePoints(every);
    });

    /** What the helper says of the time after, and what is wrong with it. */
    async function afterwards({ lines, node }: Held, victim: Victim): Promise<string[]> {
      const said = await lines.next();
      await nodeExit(node);
      if (said.done === true || node.exitCode !== 0) return [`Node: ${node.exitCode}`];
      const { first, same, next } = JSON.parse(said.value) as KilledExec;
      const goesOn = victim === 'the program' || (pooled && victim !== 'the launcher');
      // A first process that has been killed may yet have the time for one more program, and an agent
      // for one more answer.
      const dying = style === 'files' && victim === 'the launcher';
      const either = !pooled && (victim === 'the container’s first process' || dying);
      return [
        ...(next === 'exit 0' ? [] : [`next: ${next}`]),
        ...(either || same === goesOn
          ? []
          : [`${goesOn ? 'another' : 'the same'} ${pooled ? 'launcher' : 'container'} after`]),
        ...(/^(SIGKILL|exit 0|ERR_[A-Z_]+)$/.test(first) ? [] : [`first: ${first}`]),
      ];
    }

    /** @returns what is wrong afterwards */
    async function kill(point: StopPoint, victim: Victim): Promise<string[]> {
      const helper = pooled ? 'killedPool.js' : 'killedExec.js';
      const start = { helper, launcher, temporary, extra: [style] };
      const held = await holdNode(start, point);
      const { node, first } = held;
      const programs = held.family.filter((pid) => pid !== held.launcher && pid !== first);
      const pids: (number | undefined)[] = {
        Node: [node.pid],
        'the launcher': [held.launcher],
        both: [node.pid, held.launcher],
        'the container’s first process': [first],
        'the program': programs,
      }[victim];
      for (const pid of pids) if (pid !== undefined) signalIfThere(pid, 'SIGKILL');
      signalIfThere(held.held, 'SIGCONT');
      // Where there was no program to kill yet, or none any more, it goes on: to its end with Node.
      if (victim === 'the program' && programs.length === 0)
        signalIfThere(node.pid ?? 0, 'SIGKILL');
      const lives = node.signalCode === null && !pids.includes(node.pid);
      const checked = lives && !(victim === 'the program' && programs.length === 0);
      const problems = checked ? await afterwards(held, victim) : [];
      await nodeExit(node);
      await within(() => held.family.every(hasEnded));
      if (victim === 'both') await sweep(dirname(held.journal));
      await within(() => leftOf(held).length === 0);
      return [...problems, ...leftOf(held)].map((problem) => `${point.title}: ${problem}`);
    }

    test.each(victims)(
      'of %s: nothing is left, and what was not killed goes on',
      async (victim) => {
        expect(points.length).toBeGreaterThan(style === 'init' || style === 'join' ? 15 : 10);
        const turn = victims.indexOf(victim);
        const queue = points.filter((_, at) => all || at % victims.length === turn);
        const what = `kill -9 of ${victim} in an exec (${style})`;
        expect(await atPoints(what, queue, (point) => kill(point, victim))).toEqual([]);
      },
      all ? 1_800_000 : 600_000,
    );
  });
});
