import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sweep } from '../../lib/host/sweep.js';
import { planOf } from '../../lib/launch.js';
import { newId, specOf } from '../../lib/specOf.js';
import type { KilledNode } from '../helpers/killedNode.js';
import { hasEnded } from '../helpers/launches.js';
import { descendants, ownCgroups } from '../helpers/leaks.js';
import { cgroups, command, suite } from '../helpers/needs.js';
import { buildStoppingLauncher, heldAt, type StopPoint, stopPoints } from '../helpers/stops.js';

type Victim = 'Node' | 'the launcher' | 'both' | 'the first process';

/** A helper process, held at its point. */
interface Held extends KilledNode {
  node: ChildProcess;
  /** The process that is held. */
  held: number;
  /** The container's first process, once there is one. */
  first: number | undefined;
  family: number[];
}

/** Everything with `npm run test:killed`; else the named points and three of each section. */
const all = process.env.RINGFORT_KILLED === 'all';
const helper = fileURLToPath(new URL('../helpers/killedNode.js', import.meta.url));
/** Points before the clone, and after the first process has been reaped. */
const alone = /^(prepare|teardown) |^(beforeMkdir|afterMkdir|beforeClone)$|Teardown$|^afterRmdir$/;

suite('kill -9 at every stop point of a launch and a teardown', [cgroups, command('c++')], () => {
  let launcher: string;
  let temporary: string;
  let sibling: Held;
  let lookAlikes: string[];
  let points: StopPoint[];
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');

  beforeAll(async () => {
    launcher = buildStoppingLauncher();
    temporary = mkdtempSync(join(tmpdir(), 'ringfort-'));
    const id = newId();
    points = sample(stopPoints(await planOf({ id, spec: specOf(id, 'sleep', ['600'], {}) })));
    lookAlikes = ownCgroups().flatMap((parent) => {
      try {
        return [mkdirSync(join(parent, `ringfort-${newId()}`), { recursive: true }) ?? ''];
      } catch {
        return []; // not delegated to this user
      }
    });
    // No launch comes by this point.
    const node = start({ title: 'nowhere', section: 9, index: 0 });
    const said = await firstLine(node);
    await within(() => readdirSync(dirname(said.journal)).length > 0);
    await within(() => descendants(said.launcher).length > 1);
    const family = descendants(said.launcher);
    sibling = { ...said, node, held: 0, first: family[0], family };
  });

  afterAll(async () => {
    sibling.node.kill('SIGKILL');
    await within(() => [sibling.launcher, ...sibling.family].every(hasEnded));
    for (const path of lookAlikes) rmdirSync(path);
    rmSync(temporary, { recursive: true });
    rmSync(dirname(launcher), { recursive: true });
  });

  function sample(found: StopPoint[]): StopPoint[] {
    if (all) return found;
    return found.filter(({ section, index }) => {
      const { length } = found.filter((other) => other.section === section);
      return section === 4 || [0, length >> 1, length - 1].includes(index);
    });
  }

  function start({ section, index }: StopPoint): ChildProcess {
    return spawn(process.execPath, [helper, launcher, String(section), String(index)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: temporary },
    });
  }

  async function firstLine(node: ChildProcess): Promise<KilledNode> {
    if (node.stdout === null) throw new Error('no stdout');
    const [line] = (await once(createInterface(node.stdout), 'line')) as [string];
    return JSON.parse(line) as KilledNode;
  }

  /** Polls; a minute is no expectation, but the end of waiting. */
  async function within(condition: () => boolean): Promise<boolean> {
    for (const deadline = performance.now() + 60_000; performance.now() < deadline; await sleep(5))
      if (condition()) return true;
    return false;
  }

  async function hold(point: StopPoint): Promise<Held> {
    const node = start(point);
    const said = await firstLine(node);
    let held: number | undefined;
    await within(() => {
      held = heldAt(point, node.pid ?? 0);
      return held !== undefined || node.exitCode !== null;
    });
    if (held === undefined) throw new Error(`${point.title}: never reached`);
    const [first] = descendants(said.launcher);
    return { ...said, node, held, first, family: [said.launcher, ...descendants(said.launcher)] };
  }

  function signal(pid: number, name: 'SIGKILL' | 'SIGCONT'): void {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** What is left of a container and its launcher. */
  function left({ id, journal, family }: Held): string[] {
    return [
      ...family.filter((pid) => !hasEnded(pid)).map((pid) => `process ${pid}`),
      ...ownCgroups()
        .map((parent) => join(parent, `ringfort-${id}`))
        .filter((path) => existsSync(path)),
      ...[journal].filter((path) => existsSync(path)),
    ];
  }

  /** @returns what is wrong afterwards */
  async function kill(point: StopPoint, victim: Victim): Promise<string[]> {
    const held = await hold(point);
    const { node, first } = held;
    const victims: (number | undefined)[] = {
      Node: [node.pid],
      'the launcher': [held.launcher],
      both: [node.pid, held.launcher],
      'the first process': [first],
    }[victim];
    if ((first === undefined) !== alone.test(point.title))
      return [`${point.title}: first process ${first}`];
    for (const pid of victims) if (pid !== undefined) signal(pid, 'SIGKILL');
    signal(held.held, 'SIGCONT');
    if (node.exitCode === null && node.signalCode === null) await once(node, 'exit');
    // Node, where it was not killed, has started once more, with a launcher of its own or a new one.
    const code = victims.includes(node.pid) ? null : 0;
    const problems = node.exitCode === code ? [] : [`Node: ${node.exitCode ?? node.signalCode}`];
    const sweeping = victim === 'both';
    await within(() => held.family.every(hasEnded));
    if (sweeping) await sweep(dirname(held.journal));
    await within(() => left(held).length === 0);
    return [...problems, ...left(held)].map((problem) => `${point.title}: ${problem}`);
  }

  test.each<Victim>(['Node', 'the launcher', 'both', 'the first process'])(
    'of %s: nothing is left',
    async (victim) => {
      expect(points.length).toBeGreaterThan(15);
      const queue = points.filter(
        ({ title }) => victim !== 'the first process' || !alone.test(title),
      );
      const problems: string[] = [];
      const work = async () => {
        for (let point = queue.shift(); point !== undefined; point = queue.shift())
          problems.push(...(await kill(point, victim)));
      };
      await Promise.all([work(), work(), work()]);
      expect(problems).toEqual([]);
    },
    all ? 1_800_000 : 120_000,
  );

  test('what is not theirs is untouched', () => {
    expect(sibling.family.filter(hasEnded)).toEqual([]);
    expect(existsSync(sibling.journal)).toBe(true);
    expect(
      ownCgroups().filter((dir) => existsSync(join(dir, `ringfort-${sibling.id}`))),
    ).not.toEqual([]);
    expect(lookAlikes.length).toBeGreaterThan(0);
    expect(lookAlikes.filter((path) => !existsSync(path))).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(mounts);
    expect(readdirSync(temporary)).toEqual([]);
  });
});
