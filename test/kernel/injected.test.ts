import { writeSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { faultTable, totals, tryFaults } from '../helpers/faultRuns.js';
import { cgroups, command, suite } from '../helpers/needs.js';

/** `all`, or the number of attempts for each plan and role (`npm run test:faults`). */
const given = process.env.RINGFORT_FAULTS;
const sample = given === undefined || given === '' ? 12 : given === 'all' ? 'all' : Number(given);
const seed = Number(process.env.RINGFORT_FAULTS_SEED ?? Date.now() % 1_000_000);

suite('a system call of ours that fails', [cgroups, command('c++')], () => {
  test(
    'is a typed error that says where, or is made again; nothing is left, and all else goes on',
    async () => {
      const rows = await tryFaults(sample, seed, process.env.RINGFORT_FAULTS_PLAN);
      const { tried, held } = totals(rows);
      const text = given === undefined ? `${tried} faults tried, ${held} held` : faultTable(rows);
      writeSync(2, `${text.trimEnd()} (seed ${seed})\n`);
      const problems = rows.flatMap((row) =>
        row.problems.map((problem) => `${row.plan}, ${row.role}: ${problem}`),
      );
      expect(problems).toEqual([]);
      expect(held).toBe(tried);
      expect(tried).toBeGreaterThan(rows.length);
    },
    sample === 12 ? 900_000 : 8 * 3600_000,
  );
});
