import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type FaultPlan, faultPlans } from './faultPlans.js';
import { type FaultName, faultNames, type Role } from './faults.js';
import type { FaultLine } from './faultWorker.js';
import { buildStoppingLauncher } from './stops.js';

/** What came of the attempts with one plan in which the calls of one role failed. */
export interface FaultRow {
  plan: string;
  role: Role;
  /** System calls of the role when nothing fails. */
  calls: number;
  /** Attempts that were made three times, and never came by their call. */
  missed: number;
  tried: Partial<Record<FaultName, number>>;
  held: Partial<Record<FaultName, number>>;
  /** In words, what did not hold. */
  problems: string[];
}

/** All attempts with one plan: a row for each role. */
async function work(
  launcher: string,
  { name, roles }: FaultPlan,
  sample: string,
  seed: number,
): Promise<FaultRow[]> {
  const directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
  chmodSync(directory, 0o755);
  const temporary = join(directory, 'tmp');
  mkdirSync(temporary);
  const file = fileURLToPath(new URL('faultWorker.js', import.meta.url));
  const args = [file, launcher, directory, name, sample, `${seed}`];
  const node: ChildProcess = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: temporary },
  });
  const exit = once(node, 'exit');
  const rows = roles.map(
    (role): FaultRow => ({
      plan: name,
      role,
      calls: 0,
      missed: 0,
      tried: {},
      held: {},
      problems: [],
    }),
  );
  for await (const line of createInterface(node.stdout as NodeJS.ReadableStream)) {
    const said = JSON.parse(line) as FaultLine;
    const row = rows.find(({ role }) => role === said.role);
    if ('calls' in said) Object.assign(row ?? {}, said);
    else row?.problems.push(`${said.fault} at call ${said.nth}, ${said.call}: ${said.problem}`);
  }
  const [code] = await exit;
  if (code !== 0) rows[0]?.problems.push(`the worker ended with ${code}`);
  rmSync(directory, { recursive: true, force: true });
  return rows;
}

/**
 * Attempts with every plan.
 * @param sample how many for each plan and role, or all that there are
 * @param only a part of the plans' names
 */
export async function tryFaults(
  sample: number | 'all',
  seed: number,
  only = '',
): Promise<FaultRow[]> {
  const launcher = buildStoppingLauncher();
  chmodSync(dirname(launcher), 0o755);
  const rows = new Map<FaultPlan, FaultRow[]>();
  // The longest, which are the last of the list, first.
  const queue = faultPlans.filter(({ name }) => name.includes(only)).reverse();
  const worker = async () => {
    for (let plan = queue.shift(); plan !== undefined; plan = queue.shift())
      rows.set(plan, await work(launcher, plan, `${sample}`, seed));
  };
  // Each waits for its containers most of the time.
  await Promise.all(Array.from({ length: 2 * availableParallelism() }, worker));
  rmSync(dirname(launcher), { recursive: true });
  return faultPlans.flatMap((plan) => rows.get(plan) ?? []);
}

const sum = (counts: Partial<Record<FaultName, number>>) =>
  Object.values(counts).reduce((total, count) => total + count, 0);

/** How many were tried, and in how many of them all held. */
export function totals(rows: readonly FaultRow[]): { tried: number; held: number } {
  return {
    tried: rows.reduce((total, { tried }) => total + sum(tried), 0),
    held: rows.reduce((total, { held }) => total + sum(held), 0),
  };
}

/** `plan | role | calls | errno | tried | held`, and the totals. */
export function faultTable(rows: readonly FaultRow[]): string {
  const lines = rows.flatMap(({ plan, role, calls, tried, held }) => {
    const faults = faultNames.filter((fault) => tried[fault] !== undefined);
    // As an ordinary user's program on v1, it may have no part.
    if (faults.length === 0) return [[plan, role, calls, '–', 0, 0].join(' | ')];
    return faults.map((fault) =>
      [plan, role, calls, fault, tried[fault] ?? 0, held[fault] ?? 0].join(' | '),
    );
  });
  const { tried, held } = totals(rows);
  const missed = rows.reduce((total, row) => total + row.missed, 0);
  const sums = `${tried} tried, ${held} held, ${missed} not come by (calls that only some attempts make)`;
  return ['plan | role | calls | errno | tried | held', ...lines, sums, ''].join('\n');
}
