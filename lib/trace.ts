import { debuglog } from 'node:util';
import { describeStep, slotNames } from './plan/describe.js';
import { type Plan, type Section, type Step, sections } from './plan/steps.js';

/** The launcher's phases of a launch (native/protocol.h, Phase), in their order. */
export const phaseNames = [
  'request taken',
  'plan checked',
  'cloned',
  'attended',
  'executed',
  'ended',
  'told',
] as const;

/** Numbers of native/protocol.h; test/contract compares them. */
export const traceLayout = { phaseCount: phaseNames.length, maxStamps: 1024 } as const;

/** One moment of a launch: what was done by then. */
export interface Moment {
  /** ns of CLOCK_MONOTONIC, as `process.hrtime.bigint()`. */
  at: bigint;
  /** Who did it: this process, the launcher on the way, or a section of the plan. */
  by: 'node' | 'launcher' | Section;
  what: string;
  step?: Step;
}

/** All that is known of one launch, in the order of time. */
export interface LaunchTrace {
  name: string;
  moments: Moment[];
}

type Listener = (trace: LaunchTrace) => void;

const log = debuglog('ringfort');
/** Launches under way, and of them those whose end is known, with the time until they are told of. */
const open = new Map<string, Moment[]>();
const ending = new Map<string, NodeJS.Timeout>();
const maxOpen = 1000;
let listener: Listener | undefined;

/** Has launches traced, for bench; `undefined` ends it. With `NODE_DEBUG=ringfort` they are anyway. */
export function onTrace(heard: Listener | undefined): void {
  listener = heard;
}

/** Whether launches are traced. Costs a microsecond for each ten steps where they are. */
export function tracing(): boolean {
  return listener !== undefined || log.enabled;
}

/** A launch begins. Those that were under way before somebody wanted to hear of any are left out. */
export function beginTrace(name: string): void {
  // Another attempt at a launch that has failed.
  if (ending.has(name)) tell(name);
  if (!tracing() || open.has(name)) return;
  open.set(name, []);
  // What was refused before it could begin is never ended.
  const [oldest] = open.keys();
  if (open.size > maxOpen && oldest !== undefined) open.delete(oldest);
  mark(name, 'called');
}

/** This process has come so far with a launch. */
export function mark(name: string, what: string): void {
  open.get(name)?.push({ at: process.hrtime.bigint(), by: 'node', what });
}

/** What the launcher has noted (native/protocol.h, Trace); moments that were not reached are left out. */
export function decodeTrace(data: Buffer, plan: Plan): Moment[] {
  const word = (index: number) => data.readBigUInt64LE(index * 8);
  const [firstTicks, firstNs, lastTicks, lastNs] = [word(0), word(1), word(2), word(3)];
  const span = lastTicks - firstTicks || 1n;
  const moments: Moment[] = [];
  const add = (index: number, moment: Omit<Moment, 'at'>) => {
    const ticks = (index + 1) * 8 <= data.length ? word(index) : 0n;
    if (ticks === 0n) return;
    const at = firstNs + ((ticks - firstTicks) * (lastNs - firstNs)) / span;
    moments.push({ at, ...moment });
  };
  let index = 4;
  for (const what of phaseNames) add(index++, { by: 'launcher', what });
  const names = slotNames(plan);
  for (const by of sections)
    for (const step of plan[by]) add(index++, { by, what: describeStep(step, names), step });
  return moments;
}

/** The launcher's part of a launch; the trace is complete once this process is done, too. */
export function addTrace(name: string, data: Buffer, plan: Plan): void {
  open.get(name)?.push(...decodeTrace(data, plan));
}

/** Nothing more is to come but what is done in this turn of the event loop. */
export function endTrace(name: string): void {
  if (!open.has(name) || ending.has(name)) return;
  // Once what awaits the end has been told of it.
  const timer = setTimeout(tell, 20, name);
  ending.set(name, timer);
  // Who wants to read it waits for it.
  if (!log.enabled) timer.unref();
}

function tell(name: string): void {
  const moments = open.get(name) ?? [];
  clearTimeout(ending.get(name));
  open.delete(name);
  ending.delete(name);
  moments.sort((a, b) => Number(a.at - b.at));
  listener?.({ name, moments });
  if (log.enabled) log('%s trace\n%s', name, formatTrace(moments));
}

/** µs since the beginning, µs since the moment before, who, what. */
export function formatTrace(moments: readonly Moment[]): string {
  const start = moments[0]?.at ?? 0n;
  const us = (ns: bigint) => (Number(ns) / 1000).toFixed(1).padStart(9);
  return moments
    .map(({ at, by, what }, i) => {
      const since = at - (moments[i - 1]?.at ?? at);
      return `${us(at - start)} ${us(since)}  ${by.padEnd(8)} ${what}`;
    })
    .join('\n');
}
