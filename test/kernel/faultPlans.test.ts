import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { detectCgroups } from '../../lib/cgroups/index.js';
import { LauncherClient } from '../../lib/launcher/launcher.js';
import { type Plan, sections, stepTable } from '../../lib/plan/steps.js';
import { decodePlan } from '../escape/decodePlan.js';
import { runtimeDir } from '../helpers/detached.js';
import { faultPlans } from '../helpers/faultPlans.js';
import { cgroups, suite } from '../helpers/needs.js';

/** Steps of one kind of cgroups only, and of root: tried where these are. */
const elsewhere = [
  ...(detectCgroups().mode === 'v2' ? ['watchOom', 'writeFd', 'close'] : ['bpfDevice']),
  ...(process.getuid?.() === 0 ? [] : ['bpfDevice', 'idmapMount', 'watchOom']),
];

/** Every plan that is sent meanwhile. */
async function sent(body: () => Promise<unknown>): Promise<Plan[]> {
  const plans: Plan[] = [];
  const face = LauncherClient.prototype;
  const { launch, exec, unpark } = face;
  face.launch = function (bytes, fds, ...rest) {
    plans.push(decodePlan(bytes, fds));
    return launch.call(this, bytes, fds, ...rest);
  };
  face.exec = function (container, bytes, fds, ...rest) {
    plans.push(decodePlan(bytes, fds));
    return exec.call(this, container, bytes, fds, ...rest);
  };
  face.unpark = function (id, bytes, fds, ...rest) {
    plans.push(decodePlan(bytes, fds));
    unpark.call(this, id, bytes, fds, ...rest);
  };
  try {
    await body();
    return plans;
  } finally {
    Object.assign(face, { launch, exec, unpark });
  }
}

suite('the plans whose system calls are made to fail', [cgroups, runtimeDir], () => {
  test('have every step', async () => {
    const found = new Set<string>();
    for (const { name, prepare } of faultPlans) {
      const directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
      chmodSync(directory, 0o755);
      const marks = join(directory, 'marks');
      writeFileSync(marks, '', { mode: 0o666 });
      chmodSync(marks, 0o666);
      const plans = await sent(async () => {
        const { attempt, box } = await prepare({ directory, marks, ids: [] });
        expect({ name, ...(await attempt()) }).toMatchObject({ name, ended: true });
        await box?.[Symbol.asyncDispose]();
      });
      rmSync(directory, { recursive: true });
      for (const plan of plans)
        for (const section of sections) for (const { op } of plan[section]) found.add(op);
    }
    const missing = Object.keys(stepTable).filter((op) => !found.has(op));
    expect(missing.filter((op) => !elsewhere.includes(op))).toEqual([]);
  });
});
