import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { LauncherClient } from '../../lib/launcher/launcher.js';
import { encodePlan } from '../../lib/plan/encode.js';
import { type Plan, type Step, slot } from '../../lib/plan/steps.js';
import { isReaped, launch, startLauncher, until } from '../helpers/launches.js';
import { root, suite } from '../helpers/needs.js';
import { idMap, openTree, programPlan, sleepPlan, truePlan } from '../helpers/plans.js';

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

  describe('undoes', () => {
    let directory: string;
    let made: string;
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
      made = join(directory, 'made');
    });
    afterEach(() => rmSync(directory, { recursive: true }));

    /** A plan that makes a directory and removes it. */
    function directoryPlan(change: Partial<Plan> = {}): Plan {
      const plan = { ...truePlan(), ...change };
      const mkdir: Step = { op: 'mkdir', dir: slot.host, path: made, mode: 0o700, existOk: 0 };
      const rmdir: Step = { op: 'rmdir', dir: slot.host, path: made };
      return { ...plan, prepare: [mkdir, ...plan.prepare], teardown: [rmdir] };
    }

    test('what it made, however the launch went', async () => {
      const bad = [
        { attend: [idMap('self/uid_map', 'nonsense')] },
        { prepare: [openTree('/nowhere', 3)] },
      ];
      for (const change of [{}, ...bad]) {
        const { events } = await launch(client, directoryPlan(change)).outcome;
        expect(events.at(-1)).toBe('gone');
        expect(existsSync(made)).toBe(false);
      }
    });

    test('nothing that it did not make', async () => {
      mkdirSync(made);
      const { failed } = await launch(client, directoryPlan()).outcome;
      expect(failed).toMatchObject({ section: 0, step: 0, error: 17 });
      expect(existsSync(made)).toBe(true);
    });

    test('again and again what resists, and says that it does', async () => {
      const { id, running, outcome, events } = launch(client, directoryPlan(sleepPlan()));
      await running;
      const obstacle = join(made, 'obstacle');
      writeFileSync(obstacle, '');
      client.kill(id);
      await until(() => events.includes('gone'));
      rmSync(obstacle);
      expect((await outcome).events).toEqual(['sent', 'running', 'exited', 'gone', 'gone']);
      expect(existsSync(made)).toBe(false);
    });

    test('everything when its channel is closed', async () => {
      const { running } = launch(client, directoryPlan(sleepPlan()));
      await running;
      const { pid } = client;
      client.close();
      await until(() => isReaped(pid));
      expect(existsSync(made)).toBe(false);
    });
  });

  test('200 launches, good and bad, leave no descriptor behind, here or in the launcher', async () => {
    const descriptors = (pid: number) =>
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return [`${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`];
        } catch {
          return []; // the one that the listing was made with
        }
      });
    await launch(client, truePlan()).outcome;
    const before = { node: descriptors(process.pid), launcher: descriptors(client.pid) };
    const plans = [
      truePlan(),
      programPlan(['/usr/bin/nothing-here']),
      { ...truePlan(), slotCount: 8, prepare: [...truePlan().prepare, openTree('/nowhere', 7)] },
      { ...truePlan(), attend: [idMap('self/uid_map', 'nonsense')] },
      encodePlan(truePlan()).subarray(0, 100),
    ];
    const exitCodes: unknown[] = [];
    for (let round = 0; round < 10; round++) {
      const launched = Array.from({ length: 20 }, (_, i) =>
        launch(client, plans[i % plans.length] as Plan | Uint8Array),
      );
      for (const { outcome } of launched) exitCodes.push((await outcome).exitCode);
    }
    expect(exitCodes.filter((code) => code === 0).length).toBe(40);
    // The launcher closes some only after it has said that the container is gone.
    await launch(client, truePlan()).outcome;
    await until(() => descriptors(client.pid).length <= before.launcher.length);
    expect(descriptors(process.pid).sort()).toEqual(before.node.sort());
    expect(descriptors(client.pid).sort()).toEqual(before.launcher.sort());
    expect(client.live).toBe(0);
  });
});
