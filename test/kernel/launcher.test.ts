import { closeSync, openSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { LauncherClient } from '../../lib/launcher/launcher.js';
import { request } from '../../lib/launcher/messages.js';
import { loadBinding } from '../../lib/native/load.js';
import { encodePlan, protocol } from '../../lib/plan/encode.js';
import { type Plan, type Step, slot, wall } from '../../lib/plan/steps.js';
import { close, memfdCreate } from '../../lib/sys/index.js';
import { hasEnded, isReaped, launch, startLauncher, until } from '../helpers/launches.js';
import { root, suite } from '../helpers/needs.js';
import {
  idMap,
  openTree,
  type ProgramOptions,
  programPlan,
  sleepPlan,
  truePlan,
} from '../helpers/plans.js';

const EPROTO = 71;
const sections = { prepare: 0, attend: 1, child: 2, teardown: 3, launcher: 4 };
const stepOf = (plan: Plan, op: Step['op']) => plan.child.findIndex((step) => step.op === op);

suite('the launcher', [root], () => {
  let client: LauncherClient;
  beforeEach(async () => {
    client = await startLauncher();
  });
  afterEach(async () => {
    const { pid } = client;
    client.close();
    await until(() => isReaped(pid));
  });

  /** Nothing that happened before has harmed it. */
  async function expectWorking(): Promise<void> {
    const { events, exitCode } = await launch(client, truePlan()).outcome;
    expect([events, exitCode]).toEqual([['sent', 'running', 'exited', 'gone'], 0]);
  }

  test('a question that cannot be sent is refused, and takes nobody else’s answer', async () => {
    const fd = memfdCreate('closed');
    close(fd);
    const refused = client.ask(request.hello, 1, 0, { fds: [fd] });
    const answered = client.ask(request.hello, 2);
    await expect(refused).rejects.toMatchObject({ code: 'ERR_LAUNCH_FAILED' });
    expect((await answered).errno).not.toBe(0);
    await expectWorking();
  });

  /** Standard output and exit code of a program. */
  async function output(argv: readonly string[], options: ProgramOptions = {}) {
    const out = memfdCreate('output');
    const none = openSync('/dev/null', 'r+');
    const plan = encodePlan(programPlan(argv, options));
    const { exitCode, events } = await launch(client, plan, [none, out, none]).outcome;
    const text = readFileSync(`/proc/self/fd/${out}`, 'utf8');
    for (const fd of [none, out]) closeSync(fd);
    return { exitCode, events, text };
  }

  describe('runs a plan', () => {
    test('with the program’s output, exit code and usage', async () => {
      const { exitCode, text } = await output(['/usr/bin/sh', '-c', 'echo $0 $$; exit 7', 'name']);
      expect([exitCode, text]).toEqual([7, 'name 2\n']);
      const { exited, running } = await launch(client, truePlan()).outcome;
      expect(running?.pid).toBeGreaterThan(0);
      expect(exited?.maxRssBytes).toBeGreaterThan(0);
      expect((exited?.userUs ?? 0) + (exited?.systemUs ?? 0)).toBeGreaterThan(0);
    });

    test('and passes signals on', async () => {
      const { id, running, outcome } = launch(client, sleepPlan());
      await running;
      client.signal(id, 15);
      expect(await outcome).toMatchObject({ exitCode: null, signal: 15 });
    });

    test('and kills all of it', async () => {
      const { id, running, outcome } = launch(client, sleepPlan());
      const pid = await running;
      client.kill(id);
      expect(await outcome).toMatchObject({
        signal: 9,
        events: ['sent', 'running', 'exited', 'gone'],
      });
      expect(isReaped(pid)).toBe(true);
    });

    test('larger than a datagram, through a memfd: an environment of 1 MiB', async () => {
      // 16 strings, because the kernel takes at most 128 KiB in one (execve(2), MAX_ARG_STRLEN).
      const env = Array.from({ length: 16 }, (_, i) => `V${i}=${'x'.repeat(65_000)}`);
      const size = encodePlan(programPlan([], { env })).length;
      expect(size).toBeGreaterThan(1_000_000);
      const script = 'env | wc -c; printf %s "$V0" | wc -c; printf %s "$V15" | wc -c';
      const { text } = await output(['/usr/bin/sh', '-c', script], { env });
      const [total, first, last] = text.split(/\s+/).map(Number);
      expect([first, last]).toEqual([65_000, 65_000]);
      expect(total).toBeGreaterThan(1_000_000);
    });

    test.each([65_535, 65_536, 70_000])('with an argument of %d bytes', async (length) => {
      const argument = 'abcdefg'.repeat(length / 7 + 1).slice(0, length);
      const { text } = await output(['/usr/bin/printf', '%s', argument]);
      expect(text === argument).toBe(true);
    });

    test('at and just above the size that travels inline', async () => {
      const { inlinePlanBytes = 0 } = loadBinding().protocol;
      const bare = encodePlan(programPlan(['/usr/bin/true'], { env: [''] })).length;
      for (const size of [inlinePlanBytes, inlinePlanBytes + 4]) {
        const env = ['x'.repeat(size - bare)];
        const plan = encodePlan(programPlan(['/usr/bin/true'], { env }));
        expect(plan.length).toBe(size);
        expect((await launch(client, plan).outcome).exitCode).toBe(0);
      }
    });

    test('and answers what the teardown read', async () => {
      const teardown: Step[] = [
        { op: 'read', dir: slot.host, path: '/proc/sys/kernel/ostype', max: 64 },
        { op: 'read', dir: slot.host, path: '/proc/sys/kernel/ostype', max: 2 },
        { op: 'read', dir: slot.host, path: '/nowhere', max: 64 },
      ];
      const plan = programPlan(['/usr/bin/true'], { teardown });
      const { exited } = await launch(client, plan).outcome;
      expect(exited?.found).toEqual([
        { step: 0, error: 0, data: Buffer.from('Linux\n') },
        { step: 1, error: 0, data: Buffer.from('Li') },
        { step: 2, error: 2, data: Buffer.alloc(0) },
      ]);
    });
  });

  describe('refuses', () => {
    /** The plan is refused, before anything was done, at this place. */
    async function expectRefused(
      plan: Plan | Uint8Array,
      section: keyof typeof sections,
      step: number,
      fds?: readonly number[],
    ): Promise<void> {
      const { events, failed } = await launch(client, plan, fds).outcome;
      expect(events).toEqual(['sent', 'failed', 'gone']);
      expect(failed).toMatchObject({ section: sections[section], step, error: EPROTO, status: -1 });
    }

    test('a plan that is cut short, and goes on working', async () => {
      const whole = encodePlan(truePlan());
      for (const size of [0, 1, 71, 72, whole.length >> 1, whole.length - 1])
        await expectRefused(whole.subarray(0, size), 'launcher', 0);
      await expectWorking();
    });

    test('a plan cut short in a memfd', async () => {
      const env = ['x'.repeat(100_000), 'y'.repeat(100_000)];
      const whole = encodePlan(programPlan(['/usr/bin/true'], { env }));
      await expectRefused(whole.subarray(0, whole.length >> 1), 'launcher', 0);
      await expectRefused(new Uint8Array(protocol.maxPlanBytes + 4), 'launcher', 0);
      await expectWorking();
    });

    test('changed bytes, and says where', async () => {
      const plan = truePlan();
      const whole = encodePlan(plan);
      const corrupt = (at: number, value: number) => {
        const copy = Buffer.from(whole);
        copy.writeUInt32LE(value, at);
        return copy;
      };
      await expectRefused(corrupt(0, 0), 'launcher', 0);
      await expectRefused(corrupt(4, 2), 'launcher', 0);
      await expectRefused(corrupt(protocol.planHeaderSize, 0xffff), 'prepare', 0);
      const child = protocol.planHeaderSize + whole.readUInt32LE(52) + whole.readUInt32LE(56);
      await expectRefused(corrupt(child, 0x7fffffff), 'child', 0);
      await expectRefused(corrupt(child + 4, 12), 'child', 0);
      await expectWorking();
    });

    test('a number of descriptors that is not the plan’s', async () => {
      const fd = openSync('/dev/null', 'r+');
      for (const count of [0, 2, 4, 63])
        await expectRefused(truePlan(), 'launcher', 0, Array<number>(count).fill(fd));
      closeSync(fd);
      await expectWorking();
    });

    test.each<[name: string, without: Step['op'], at: Step['op']]>([
      ['pivotRoot', 'pivotRoot', 'capBounding'],
      ['capset', 'capset', 'assert'],
      ['noNewPrivs', 'noNewPrivs', 'assert'],
      ['closeAll', 'closeAll', 'assert'],
      ['assert', 'assert', 'exec'],
    ])('to execute without %s', async (_, without, at) => {
      const plan = programPlan(['/usr/bin/true'], { without: [without] });
      await expectRefused(plan, 'child', stepOf(plan, at));
    });

    test('to execute without a filter that the plan has not waived', async () => {
      const plan = programPlan(['/usr/bin/true'], { waived: 0 });
      await expectRefused(plan, 'child', stepOf(plan, 'assert'));
    });

    test('to execute with nothing but a wait before', async () => {
      const only: Step['op'][] = ['wait', 'exec'];
      const plan = truePlan();
      const child = plan.child.filter(({ op }) => only.includes(op));
      await expectRefused({ ...plan, child }, 'child', 1);
      const all = Object.values(wall).reduce((sum, bit) => sum | bit, 0);
      const waived = { ...plan, child, waived: all & ~wall.pivot };
      await expectRefused(waived, 'child', 1);
      await expectWorking();
    });

    test('to enter a user namespace itself, under whatever type', async () => {
      const fd = openSync('/proc/self/ns/user', 'r');
      for (const type of [0, 0x10000000, 0x50000000]) {
        const plan = truePlan();
        const prepare: Step[] = [...plan.prepare, { op: 'setns', slot: 0, type }];
        await expectRefused({ ...plan, prepare }, 'prepare', 2, [fd, fd, fd]);
      }
      closeSync(fd);
    });
  });

  describe('when a step fails', () => {
    test('names the section, the step and the errno', async () => {
      const plan = truePlan();
      const noSuchLink = programPlan([''], { atFirst: [{ op: 'linkUp', name: 'nope' }] });
      const cases: [Partial<Plan>, keyof typeof sections, number, number][] = [
        [{ prepare: [openTree('/nowhere', 3)] }, 'prepare', 0, 2],
        [{ attend: [idMap('self/uid_map', 'nonsense')] }, 'attend', 0, 22],
        [noSuchLink, 'child', 1, 19],
      ];
      for (const [change, section, step, error] of cases) {
        const changed = { ...plan, ...change };
        const { events, failed } = await launch(client, changed).outcome;
        expect([events, failed]).toEqual([
          ['sent', 'failed', 'gone'],
          expect.objectContaining({ section: sections[section], step, error }),
        ]);
      }
      await expectWorking();
    });

    test('a program that is not there', async () => {
      const plan = programPlan(['/usr/bin/nothing-here']);
      const { events, failed } = await launch(client, plan).outcome;
      expect(events).toEqual(['sent', 'failed', 'gone']);
      expect(failed).toMatchObject({ section: 2, step: stepOf(plan, 'exec'), error: 2 });
    });

    test('a status line that is not as asserted: the program never runs', async () => {
      const out = memfdCreate('output');
      const plan = programPlan(['/usr/bin/echo', 'ran'], { assertions: ['NoNewPrivs:\t0'] });
      const { events, failed } = await launch(client, plan, [out, out, out]).outcome;
      expect(events).toEqual(['sent', 'failed', 'gone']);
      expect(failed).toMatchObject({ section: 2, step: stepOf(plan, 'assert'), error: EPROTO });
      expect(readFileSync(`/proc/self/fd/${out}`, 'utf8')).toBe('');
      closeSync(out);
    });

    test('an assertion is a whole line, from its start to its end', async () => {
      for (const line of ['NoNewPrivs:\t', 'oNewPrivs:\t1', 'NoNewPrivs:\t1\n', '1']) {
        const plan = programPlan(['/usr/bin/true'], { assertions: [line] });
        const { failed } = await launch(client, plan).outcome;
        expect([line, failed?.error]).toEqual([line, EPROTO]);
      }
    });

    test('a mount namespace that was joined cannot be left for the host’s mounts', async () => {
      const fd = openSync('/proc/self/ns/mnt', 'r');
      const plan = truePlan();
      const prepare: Step[] = [{ op: 'setns', slot: 0, type: 0x20000 }, ...plan.prepare];
      const { failed } = await launch(client, { ...plan, prepare }, [fd, fd, fd]).outcome;
      expect(failed).toMatchObject({ section: sections.prepare, step: 1, error: 22 });
      closeSync(fd);
      await expectWorking();
    });
  });

  describe('ends', () => {
    test('by SIGKILL: launches are lost, guests die, nothing more can be launched', async () => {
      const launched = [1, 2, 3].map(() => launch(client, sleepPlan()));
      const guests = await Promise.all(launched.map(({ running }) => running));
      const pending = launch(client, sleepPlan());
      process.kill(client.pid, 'SIGKILL');
      for (const { outcome } of [...launched, pending]) {
        const { lost, events } = await outcome;
        expect(lost).toMatchObject({ name: 'ContainerGoneError', code: 'ERR_LAUNCHER_GONE' });
        expect(events.at(-1)).toBe('lost');
      }
      await until(() => guests.every(hasEnded));
      expect(isReaped(client.pid)).toBe(true);
      expect(client.gone).toMatchObject({ code: 'ERR_LAUNCHER_GONE' });
      expect(client.live).toBe(0);
      expect(() => launch(client, truePlan())).toThrow(client.gone as Error);
    });

    test('with its channel, and takes its guests along', async () => {
      const launched = [1, 2, 3].map(() => launch(client, sleepPlan()));
      const guests = await Promise.all(launched.map(({ running }) => running));
      const { pid } = client;
      client.close();
      await until(() => isReaped(pid));
      expect(guests.map(isReaped)).toEqual([true, true, true]);
      for (const { outcome } of launched) expect((await outcome).events.at(-1)).toBe('lost');
    });
  });
});
