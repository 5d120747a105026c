import { run } from '../../lib/index.js';
import { type LaunchTrace, type Moment, onTrace } from '../../lib/trace.js';
import type { Effort, Part, Section } from '../goal.js';
import { Limit, limitParts } from '../limit.js';
import type { Measurements } from '../rounds.js';

/** µs of one step as performance.md has them, taken singly and idle: p50. */
const alone: Readonly<Record<string, string>> = {
  attach: '17',
  capBounding: '124 with capset',
  exec: '129 and the loader',
  fork: '121',
  fsMount: '15–38',
  linkUp: '103',
  mask: '13',
  mkdir: '45–114 a cgroup',
  openTree: '9',
  pivotRoot: '112 + 154 umount2',
  readonlyPath: '13',
  rmdir: '31–59',
  seccomp: '201 (tree)',
  setuid: '21 with groups',
  unshare: '37',
  write: '14',
};

const clone = 'cloned';

/** Appends to the list of a name. */
function push(rows: Measurements, name: string, value: number): void {
  const list = rows.get(name) ?? [];
  rows.set(name, list);
  list.push(value);
}

const micros = (from: bigint, to: bigint) => Number(to - from) / 1000;

/** The way of a launch, each part from the end of the one before. */
function way(rows: Measurements, { moments }: LaunchTrace): void {
  const last = (by: Moment['by']) => moments.findLast((moment) => moment.by === by);
  const named = (what: string) => moments.find((moment) => moment.what === what);
  const firstExec = moments.find(({ step }) => step?.op === 'exec');
  const pivot = moments.find(({ step }) => step?.op === 'pivotRoot');
  const fork = moments.find(({ step }) => step?.op === 'fork');
  const parts: [string, Moment | undefined][] = [
    ['Node: options to spec', named('spec made')],
    ['Node: launcher there', named('launcher ready')],
    ['Node: facts of the host', named('facts known')],
    ['Node: spec to plan', named('plan made')],
    ['Node: plan to bytes', named('plan encoded')],
    ['Node: sent', named('sent')],
    ['socket: launcher has it', named('request taken')],
    ['launcher: plan checked', named('plan checked')],
    ['launcher: prepare', last('prepare')],
    ['launcher: clone', named(clone)],
    ['launcher: attend', named('attended')],
    ['child: root and mounts, to pivot_root', pivot],
    ['child: Landlock rules, fork of the program', fork],
    ['child: last walls and execve, until the launcher sees it', firstExec ?? named('executed')],
    ['launcher: execve seen', named('executed')],
    ['program, its end, namespaces, reaped', named('ended')],
    ['launcher: accounts read, told', named('told')],
    ['socket: Node hears of the end', named('exited heard')],
    ['Node: result', named('result')],
  ];
  const start = named('called');
  if (start === undefined) return;
  let before = start.at;
  for (const [name, moment] of parts) {
    if (moment === undefined) continue;
    push(rows, name, Math.max(0, micros(before, moment.at)));
    if (moment.at > before) before = moment.at;
  }
  const result = named('result');
  if (result !== undefined) push(rows, '**all**', micros(start.at, result.at));
}

/** What each kind of step costs in one launch, all of its kind together. */
function steps(rows: Measurements, { moments }: LaunchTrace): void {
  const begin: Partial<Record<Moment['by'], string>> = {
    prepare: 'plan checked',
    attend: clone,
    child: clone,
    teardown: 'ended',
  };
  const before = new Map<Moment['by'], bigint>();
  const sums = new Map<string, { us: number; count: number }>();
  for (const { at, by, what, step } of moments) {
    for (const [section, phase] of Object.entries(begin))
      if (what === phase) before.set(section as Moment['by'], at);
    if (step === undefined) continue;
    const key = `${by} ${step.op}${step.op === 'fsMount' ? ` ${step.type}` : ''}`;
    const sum = sums.get(key) ?? { us: 0, count: 0 };
    sums.set(key, sum);
    sum.us += micros(before.get(by) ?? at, at);
    sum.count++;
    before.set(by, at);
  }
  for (const [key, { us, count }] of sums) {
    const op = key.split(' ')[1] ?? '';
    const known = alone[op] === undefined ? '' : ` (alone: ${alone[op]})`;
    push(rows, `${key} × ${count}${known}`, us);
  }
}

async function measure({ scale }: Effort): Promise<Section[]> {
  const traces: LaunchTrace[] = [];
  for (let i = 0; i < 30; i++) await run('/usr/bin/true');
  onTrace((trace) => traces.push(trace));
  const limit = await Limit.start();
  const limits: Measurements = new Map();
  for (let i = 0; i < Math.ceil(100 * scale); i++) {
    await run('/usr/bin/true');
    // The trace is told a little after the end.
    await new Promise((resolve) => setTimeout(resolve, 25));
    if (typeof limit === 'string') continue;
    const parts = await limit.trace();
    for (const [at, name] of limitParts.entries()) push(limits, name, 1000 * (parts[at] ?? 0));
  }
  onTrace(undefined);
  if (typeof limit !== 'string') limit.close();
  const [parts, each]: [Measurements, Measurements] = [new Map(), new Map()];
  for (const trace of traces) {
    way(parts, trace);
    steps(each, trace);
  }
  const unit = 'µs';
  return [
    { title: 'Where the time of a cold run goes', unit, rows: parts, checks: [] },
    {
      title: 'The same of the limit, in turn with it',
      unit,
      rows: limits,
      checks: [],
      absent: typeof limit === 'string' ? [limit] : [],
    },
    { title: 'Steps by kind, all of a launch together', unit, rows: each, checks: [] },
  ];
}

/** The step trace. */
export const trace: Part = { names: ['trace'], measure };
