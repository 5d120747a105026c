import { createContainer, Pool, run } from '../../lib/index.js';
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
  'prepare mkdir': '45–114 a cgroup',
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

/** A part of the way, and the moment that ends it. */
type Stage = readonly [name: string, end: (moments: readonly Moment[]) => Moment | undefined];

const named = (what: string) => (moments: readonly Moment[]) =>
  moments.find((moment) => moment.what === what);
const step = (op: string) => (moments: readonly Moment[]) =>
  moments.find((moment) => moment.step?.op === op);

/** Of a launch, and of one more program in a container that lives. */
const launchStages: readonly Stage[] = [
  ['Node: options to spec', named('spec made')],
  ['Node: launcher there', named('launcher ready')],
  ['Node: facts of the host', named('facts known')],
  ['Node: spec to plan', named('plan made')],
  ['Node: plan to bytes', named('plan encoded')],
  ['Node: sent', named('sent')],
  ['socket: launcher has it', named('request taken')],
  ['launcher: plan checked', named('plan checked')],
  ['launcher: prepare', (moments) => moments.findLast(({ by }) => by === 'prepare')],
  ['launcher: clone', named(clone)],
  ['launcher: attend', named('attended')],
  ['child: root and mounts, to pivot_root', step('pivotRoot')],
  ['child: Landlock rules, fork of the program', step('fork')],
  ['child: last walls and execve, until the launcher sees it', named('executed')],
  ['program, its end, namespaces, reaped', named('ended')],
  ['launcher: accounts read, told', named('told')],
  ['socket: Node hears of the end', named('exited heard')],
  ['Node: result', named('result')],
];

/** Of a program that was waiting, for which the launcher has nothing to do but to pass a message on. */
const pooledStages: readonly Stage[] = [
  ['Node: options to plan, streams', named('plan encoded')],
  ['Node: sent', named('sent')],
  ['limits, last steps, execve, until Node hears of it', named('running heard')],
  ['the program, until its first byte is here', named('first byte')],
  ['its end', named('exited heard')],
  ['Node: result', named('result')],
];

/** The way of a launch, each part from the end of the one before. */
function way(rows: Measurements, { moments }: LaunchTrace, stages: readonly Stage[]): void {
  const start = named('called')(moments);
  if (start === undefined) return;
  let before = start.at;
  for (const [name, end] of stages) {
    const moment = end(moments);
    if (moment === undefined) continue;
    push(rows, name, Math.max(0, micros(before, moment.at)));
    if (moment.at > before) before = moment.at;
  }
  for (const [name, what] of [
    ['**first byte**', 'first byte'],
    ['**all**', 'result'],
  ] as const) {
    const moment = named(what)(moments);
    if (moment !== undefined) push(rows, name, micros(start.at, moment.at));
  }
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
  for (const { at, by, what, step: made } of moments) {
    for (const [section, phase] of Object.entries(begin))
      if (what === phase) before.set(section as Moment['by'], at);
    if (made === undefined) continue;
    const key = `${by} ${made.op}${made.op === 'fsMount' ? ` ${made.type}` : ''}`;
    const sum = sums.get(key) ?? { us: 0, count: 0 };
    sums.set(key, sum);
    sum.us += micros(before.get(by) ?? at, at);
    sum.count++;
    before.set(by, at);
  }
  for (const [key, { us, count }] of sums) {
    const op = key.split(' ')[1] ?? '';
    const known = alone[key] ?? alone[op];
    push(rows, `${key} × ${count}${known === undefined ? '' : ` (alone: ${known})`}`, us);
  }
}

/** The traces of so many turns of a task, each with a little time for the trace to be told. */
async function tracesOf(
  rounds: number,
  task: () => Promise<unknown>,
  between = async () => {},
): Promise<LaunchTrace[]> {
  const traces: LaunchTrace[] = [];
  for (let i = 0; i < 30; i++) await task();
  onTrace((trace) => traces.push(trace));
  for (let i = 0; i < rounds; i++) {
    await task();
    await new Promise((resolve) => setTimeout(resolve, 25));
    await between();
  }
  onTrace(undefined);
  return traces;
}

const echo = ['/usr/bin/echo', ['x']] as const;
const unit = 'µs';

function section(title: string, traces: readonly LaunchTrace[], stages: readonly Stage[]): Section {
  const rows: Measurements = new Map();
  for (const trace of traces) way(rows, trace, stages);
  return { title, unit, rows, checks: [] };
}

async function measureCold(rounds: number): Promise<Section[]> {
  const limit = await Limit.start();
  const limits: Measurements = new Map();
  const traces = await tracesOf(
    rounds,
    () => run(...echo),
    async () => {
      if (typeof limit === 'string') return;
      const parts = await limit.trace();
      for (const [at, name] of limitParts.entries()) push(limits, name, 1000 * (parts[at] ?? 0));
    },
  );
  if (typeof limit !== 'string') limit.close();
  const each: Measurements = new Map();
  for (const trace of traces) steps(each, trace);
  const absent = typeof limit === 'string' ? [limit] : [];
  return [
    section('Where the time of a cold run goes (`echo`)', traces, launchStages),
    {
      title: 'The same of the limit (`true`), in turn with it',
      unit,
      rows: limits,
      checks: [],
      absent,
    },
    { title: 'Steps by kind, all of a launch together', unit, rows: each, checks: [] },
  ];
}

async function measure({ scale }: Effort): Promise<Section[]> {
  const rounds = Math.ceil(100 * scale);
  const cold = await measureCold(rounds);
  await using container = await createContainer();
  const execs = await tracesOf(rounds, () => container.exec(...echo));
  await using pool = new Pool({}, { min: 2, max: 4 });
  const all = await tracesOf(rounds, () => pool.run(...echo));
  // What fills the pool again is traced, too.
  const pooled = all.filter(({ moments }) => moments.every(({ by }) => by === 'node'));
  return [
    ...cold,
    section('Of one more program in a container that lives', execs, launchStages),
    section('Of a run in a pooled container', pooled, pooledStages),
  ];
}

/** The step trace. */
export const trace: Part = { names: ['trace'], measure };
