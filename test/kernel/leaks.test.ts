import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { LoopReport } from '../helpers/leakLoop.js';
import { cgroups, suite } from '../helpers/needs.js';

const program = fileURLToPath(new URL('../helpers/leakLoop.js', import.meta.url));

suite('many runs leave nothing', [cgroups], () => {
  let temporary: string;
  beforeAll(() => {
    temporary = mkdtempSync(join(tmpdir(), 'rf-leaks-'));
  });
  afterAll(() => rmSync(temporary, { recursive: true }));

  test.each([
    [1000, 1],
    [1000, 32],
  ])(
    '%d runs, %d at a time',
    async (runs, atOnce) => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--expose-gc', program, String(runs), String(atOnce)],
        { env: { ...process.env, TMPDIR: temporary }, timeout: 1_800_000 },
      );
      // It has looked for processes, descriptors, threads, cgroups and mounts itself.
      const { growth, wrong }: LoopReport = JSON.parse(stdout);
      expect(wrong).toBe(0);
      const [node, launcher] = growth.at(-1) ?? [];
      expect(node).toBeLessThan(0.15);
      expect(launcher).toBeLessThan(0.15);
      expect(readdirSync(temporary)).toEqual([]);
    },
    1_810_000,
  );
});
