import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sweep } from '../../lib/host/sweep.js';
import { planOf } from '../../lib/launch.js';
import { newId, specOf } from '../../lib/specOf.js';
import { atPoints } from '../helpers/atPoints.js';
import {
  type Held,
  holdNode,
  leftOf,
  nodeExit,
  samplePoints,
  signalIfThere,
  startNode,
  within,
} from '../helpers/heldNode.js';
import type { KilledLaunch } from '../helpers/killedNode.js';
import { hasEnded } from '../helpers/launches.js';
import { descendants, foreignMode, hostMounts, ownCgroups } from '../helpers/leaks.js';
import { cgroups, command, suite } from '../helpers/needs.js';
import { buildStoppingLauncher, namedStops, type StopPoint, stopPoints } from '../helpers/stops.js';

type Victim = 'Node' | 'the launcher' | 'both' | 'the first process';

/** Everything with `npm run test:killed`; else the named points and three of each section. */
const all = process.env.RINGFORT_KILLED === 'all';
/** Points before the clone, and after the first process has been reaped. */
const alone = /^(prepare|teardown) |^(beforeMkdir|afterMkdir|beforeClone)$|Teardown$|^afterRmdir$/;

suite('kill -9 at every stop point of a launch and a teardown', [cgroups, command('c++')], () => {
  let launcher: string;
  let temporary: string;
  let sibling: Held;
  let lookAlikes: string[];
  let points: StopPoint[];
  const mounts = hostMounts();

  beforeAll(async () => {
    launcher = buildStoppingLauncher();
    temporary = mkdtempSync(join(tmpdir(), 'ringfort-'));
    const id = newId();
    const every = stopPoints(await planOf({ id, spec: specOf(id, 'sleep', ['600'], {}) }));
    points = all ? every : samplePoints(every);
    lookAlikes = ownCgroups().flatMap((parent) => {
      try {
        const path = join(parent, `ringfort-${newId()}`);
        mkdirSync(path, { recursive: true });
        chmodSync(path, foreignMode);
        return [path];
      } catch {
        return []; // not delegated to this user
      }
    });
    // No launch comes by this point.
    const said = await startNode(howTo(), { title: 'nowhere', section: 9, index: 0 });
    await within(() => readdirSync(dirname(said.journal)).length > 0);
    await within(() => descendants(said.launcher).length > 1);
    const family = descendants(said.launcher);
    sibling = { ...said, held: 0, first: family[0], family };
  });

  afterAll(async () => {
    sibling.node.kill('SIGKILL');
    await within(() => [sibling.launcher, ...sibling.family].every(hasEnded));
    for (const path of lookAlikes) rmdirSync(path);
    rmSync(temporary, { recursive: true });
    rmSync(dirname(launcher), { recursive: true });
  });

  const howTo = () => ({ helper: 'killedNode.js', launcher, temporary });

  /** What is wrong in what Node has said of the launch that was held, and of the next one. */
  function wrongIn(line: string): string[] {
    const { first, next } = JSON.parse(line) as KilledLaunch;
    const typed =
      /^(ERR_LAUNCHER_GONE|ERR_LAUNCH_FAILED|ERR_LAUNCH_DIED|ERR_LAUNCH_DENIED|ERR_CONTAINER_GONE|SIGKILL|exit 0)$/;
    return typed.test(first) && next === 0 ? [] : [`Node said ${line}`];
  }

  /** @returns what is wrong afterwards */
  async function kill(point: StopPoint, victim: Victim): Promise<string[]> {
    const held = await holdNode(howTo(), point);
    const { node, first } = held;
    const victims: (number | undefined)[] = {
      Node: [node.pid],
      'the launcher': [held.launcher],
      both: [node.pid, held.launcher],
      'the first process': [first],
    }[victim];
    if ((first === undefined) !== alone.test(point.title))
      return [`${point.title}: first process ${first}`];
    for (const pid of victims) if (pid !== undefined) signalIfThere(pid, 'SIGKILL');
    signalIfThere(held.held, 'SIGCONT');
    await nodeExit(node);
    // Node, where it was not killed, has started once more, with a launcher of its own or a new one.
    const code = victims.includes(node.pid) ? null : 0;
    const problems = node.exitCode === code ? [] : [`Node: ${node.exitCode ?? node.signalCode}`];
    if (code === 0) problems.push(...wrongIn(String((await held.lines.next()).value)));
    const sweeping = victim === 'both';
    await within(() => held.family.every(hasEnded));
    if (sweeping) await sweep(dirname(held.journal));
    await within(() => leftOf(held).length === 0);
    return [...problems, ...leftOf(held)].map((problem) => `${point.title}: ${problem}`);
  }

  test.each<Victim>(['Node', 'the launcher', 'both', 'the first process'])(
    'of %s: nothing is left',
    async (victim) => {
      expect(points.length).toBeGreaterThan(15);
      const queue = points.filter(
        ({ title }) => victim !== 'the first process' || !alone.test(title),
      );
      const what = `kill -9 of ${victim} in a launch`;
      expect(await atPoints(what, queue, (point) => kill(point, victim))).toEqual([]);
    },
    all ? 1_800_000 : 600_000,
  );

  // Nothing else ends the program with them: neither a pid namespace nor a cgroup.
  test.each(['the init', 'the launcher'])(
    'of %s before the init stands: the program does not wait for ever',
    async (victim) => {
      const options = { namespaces: { pid: 'host' }, limits: 'none' };
      const point = { title: 'init', section: 4, index: namedStops.indexOf('init') };
      const held = await holdNode({ ...howTo(), extra: [JSON.stringify(options)] }, point);
      expect(held.family).toHaveLength(3);
      signalIfThere(victim === 'the init' ? held.held : held.launcher, 'SIGKILL');
      signalIfThere(held.held, 'SIGCONT');
      await nodeExit(held.node);
      await within(() => held.family.every(hasEnded));
      const left = leftOf(held);
      for (const pid of held.family) signalIfThere(pid, 'SIGKILL');
      expect(left).toEqual([]);
      expect(held.node.exitCode).toBe(0);
    },
    120_000,
  );

  test('what is not theirs is untouched', () => {
    expect(sibling.family.filter(hasEnded)).toEqual([]);
    expect(existsSync(sibling.journal)).toBe(true);
    expect(
      ownCgroups().filter((dir) => existsSync(join(dir, `ringfort-${sibling.id}`))),
    ).not.toEqual([]);
    expect(lookAlikes.length).toBeGreaterThan(0);
    expect(lookAlikes.filter((path) => !existsSync(path))).toEqual([]);
    expect(hostMounts()).toEqual(mounts);
    expect(readdirSync(temporary)).toEqual([]);
  });
});
