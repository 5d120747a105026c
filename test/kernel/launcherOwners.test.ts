import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { LauncherClient } from '../../lib/launcher/launcher.js';
import { type Step, slot } from '../../lib/plan/steps.js';
import { isReaped, launch, startLauncher, until } from '../helpers/launches.js';
import { root, suite } from '../helpers/needs.js';
import { truePlan } from '../helpers/plans.js';

const unchanged = 0xffffffff;
const { ELOOP, ENOENT } = constants.errno;

suite('the launcher gives files away', [root], () => {
  let client: LauncherClient;
  let directory: string;
  let file: string;
  beforeEach(async () => {
    client = await startLauncher();
    directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
    file = join(directory, 'file');
    writeFileSync(file, '');
  });
  afterEach(async () => {
    const { pid } = client;
    client.close();
    await until(() => isReaped(pid));
    rmSync(directory, { recursive: true });
  });

  const chown = (path: string, uid: number, gid: number): Step => ({
    op: 'chown',
    dir: slot.host,
    path,
    uid,
    gid,
  });

  async function launched(step: Step) {
    const plan = truePlan();
    return launch(client, { ...plan, prepare: [step, ...plan.prepare] }).outcome;
  }

  function owner(): [number, number] {
    const { uid, gid } = statSync(file);
    return [uid, gid];
  }

  test('user and group, or one of them', async () => {
    expect((await launched(chown(file, 1234, unchanged))).exitCode).toBe(0);
    expect(owner()).toEqual([1234, 0]);
    await launched(chown(file, unchanged, 77));
    expect(owner()).toEqual([1234, 77]);
  });

  test('never through a link, at the end or on the way', async () => {
    symlinkSync(file, join(directory, 'link'));
    symlinkSync(directory, join(directory, 'around'));
    for (const name of ['link', 'around/file']) {
      const { failed } = await launched(chown(join(directory, name), 1234, 1234));
      expect(failed).toMatchObject({ section: 0, step: 0, error: ELOOP });
    }
    const { failed } = await launched(chown(join(directory, 'missing'), 1, 1));
    expect(failed).toMatchObject({ error: ENOENT });
    expect(owner()).toEqual([0, 0]);
  });
});
