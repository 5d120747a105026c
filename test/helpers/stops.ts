import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Plan, planFlag, sections } from '../../lib/plan/steps.js';
import { compileLauncher, packageRoot } from './compileLauncher.js';
import { descendants, processName } from './leaks.js';

/** Points of native/launcher/stops.h beside those before each step. */
export const namedStops = [
  'beforeMkdir',
  'afterMkdir',
  'beforeClone',
  'afterClone',
  'beforeGo',
  'init',
  'afterRunning',
  'beforeTeardown',
  'afterRmdir',
  'afterTeardown',
  'initAsked',
  'initForked',
  'initSent',
  'gotPidfd',
  'initReaped',
  'initTold',
  'beforeConclude',
  'detachTaken',
  'detachAnnounced',
  'exitUnkept',
  'exitKept',
] as const;
type NamedStop = (typeof namedStops)[number];

/** Those of a launcher that becomes a monitor. */
const ofMonitors: readonly NamedStop[] = namedStops.slice(namedStops.indexOf('detachTaken'));
/** Those that a launch does not come by. */
const ofPrograms: readonly NamedStop[] = namedStops.slice(
  namedStops.indexOf('initAsked'),
  -ofMonitors.length,
);
/** Those that a program does not come by: it is told nothing, and is no init. */
const ofLaunches: readonly NamedStop[] = ['init'];
/** Those of a program that its container's init starts. */
const ofInits: readonly NamedStop[] = ofPrograms.slice(0, -1);

/** The request that names a point, known only to the launcher that `buildStoppingLauncher` makes. */
export const stopRequest = 0x706f7473;

/** Where a launcher, or the child it has cloned, is held. */
export interface StopPoint {
  /** As test titles have it: `child 12`, `beforeClone`. */
  title: string;
  /** Index in `sections`; 4 for a named point. */
  section: number;
  index: number;
}
/** Those at the end of a program. */
const ofEnds: readonly NamedStop[] = [
  'beforeTeardown',
  'afterRmdir',
  'afterTeardown',
  'initReaped',
  'initTold',
  'beforeConclude',
  'exitUnkept',
  'exitKept',
];

function allPoints(plan: Plan, leaveOut: readonly NamedStop[]): StopPoint[] {
  const steps = sections.flatMap((name, section) =>
    plan[name]
      .map(({ op }, index) => ({ op, title: `${name} ${index}`, section, index }))
      // Carried out at a kill, and passed over at the end.
      .filter(({ op }) => op !== 'writeOnKill')
      .map(({ title, index }) => ({ title, section, index })),
  );
  const named = namedStops
    .map((title, index) => ({ title, section: sections.length, index }))
    .filter(({ title }) => !leaveOut.includes(title));
  return [...steps, ...named];
}

/** Every point of a launch with this plan: before each of its steps, and the named ones. */
export function stopPoints(plan: Plan): StopPoint[] {
  return allPoints(plan, [...ofPrograms, ...ofMonitors]);
}

/** The same of a container that is detached; its init serves. */
export function detachedPoints(plan: Plan): StopPoint[] {
  return allPoints(plan, [...ofPrograms, ...ofLaunches]);
}

/** The same of one more program in a container that lives. */
export function programPoints(plan: Plan): StopPoint[] {
  const inside = plan.flags === planFlag.inside;
  const forks = plan.child.some(({ op }) => op === 'fork');
  const others = [...(inside ? [] : ofInits), ...(forks ? [] : ofLaunches)];
  return allPoints(plan, [...others, ...ofMonitors]);
}

/** Whether a program must have ended before its launcher comes by the point. */
export function programEndsAt({ section, index }: StopPoint): boolean {
  if (section !== sections.length) return sections[section] === 'teardown';
  const name = namedStops[index] as NamedStop;
  return ofEnds.includes(name);
}

/** The process of a family that is held at a point; `undefined` when none is there yet. */
export function heldAt({ section, index }: StopPoint, ancestor: number): number | undefined {
  return descendants(ancestor).find((pid) => processName(pid) === `stop:${section}:${index}`);
}

/**
 * Compiles the launcher as binding.gyp does, with stop points.
 * @returns its path, in a temporary directory that is the caller's to remove
 */
export function buildStoppingLauncher(): string {
  const output = join(mkdtempSync(join(tmpdir(), 'ringfort-')), 'launcher');
  const more = ['stops.cc', 'faults.cc'].map((name) => join(packageRoot, 'test/native', name));
  compileLauncher(output, { defines: ['RINGFORT_STOPS'], more });
  return output;
}
