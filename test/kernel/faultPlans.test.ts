import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { detectCgroups } from '../../lib/cgroups/index.js';
import { sections, stepTable } from '../../lib/plan/steps.js';
import { runtimeDir } from '../helpers/detached.js';
import { faultPlans } from '../helpers/faultPlans.js';
import { cgroups, suite } from '../helpers/needs.js';
import { sentBy } from '../helpers/sentPlans.js';

/** Steps of one kind of cgroups only, and of root: tried where these are. */
const elsewhere = [
  ...(detectCgroups().mode === 'v2' ? ['watchOom', 'writeFd', 'close'] : ['bpfDevice']),
  ...(process.getuid?.() === 0 ? [] : ['bpfDevice', 'idmapMount', 'watchOom']),
];

suite('the plans whose system calls are made to fail', [cgroups, runtimeDir], () => {
  test('have every step', async () => {
    const found = new Set<string>();
    for (const { name, prepare } of faultPlans) {
      const directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
      chmodSync(directory, 0o755);
      const marks = join(directory, 'marks');
      writeFileSync(marks, '', { mode: 0o666 });
      chmodSync(marks, 0o666);
      const { containers, programs } = await sentBy(async () => {
        const { attempt, box } = await prepare({ directory, marks, ids: [] });
        expect({ name, ...(await attempt()) }).toMatchObject({ name, ended: true });
        await box?.[Symbol.asyncDispose]();
      });
      rmSync(directory, { recursive: true });
      for (const plan of [...containers, ...programs])
        for (const section of sections) for (const { op } of plan[section]) found.add(op);
    }
    const missing = Object.keys(stepTable).filter((op) => !found.has(op));
    expect(missing.filter((op) => !elsewhere.includes(op))).toEqual([]);
  });
});
