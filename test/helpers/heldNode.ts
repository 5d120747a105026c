import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hasEnded } from './launches.js';
import { descendants, ownCgroups } from './leaks.js';
import { heldAt, type StopPoint } from './stops.js';
import type { KilledNode } from './useLauncher.js';

/** A helper process, held at its point. */
export interface Held extends KilledNode {
  node: ChildProcess;
  lines: AsyncIterator<string>;
  /** The process that is held. */
  held: number;
  /** The container's first process, once there is one. */
  first: number | undefined;
  /** The launcher and all below it. */
  family: number[];
}

let longest = 0;

/** The ms that `within` has waited at most since this was last called. */
export function takeLongestWait(): number {
  const ms = longest;
  longest = 0;
  return ms;
}

/**
 * Polls; so many looks, half a minute or more, are no expectation, but the end of waiting. No clock:
 * where this process itself was held up for a minute (a spawn waits for the exec of its child, and in
 * an emulated guest that may wait for its disk), nothing has had the time to happen meanwhile.
 */
export async function within(condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const since = performance.now();
  for (let looks = 0; looks < 5000; looks++) {
    if (await condition()) {
      longest = Math.max(longest, performance.now() - since);
      return true;
    }
    await sleep(5);
    // Where a look takes longer than the sleep, the next timer is always due, and Node's loop over
    // timers does not end: what this process is told (a child's end, a line) would never come.
    await immediate();
  }
  return false;
}

/** How a helper is started. */
export interface HeldStart {
  /** Its file's name in this directory. */
  helper: string;
  /** The launcher with stop points. */
  launcher: string;
  /** Its TMPDIR. */
  temporary: string;
  extra?: readonly string[];
}

/** Starts a helper that goes on until its point is reached, and waits for its first line. */
export async function startNode(
  { helper, launcher, temporary, extra = [] }: HeldStart,
  { section, index }: StopPoint,
): Promise<Omit<Held, 'held' | 'family'>> {
  const file = fileURLToPath(new URL(helper, import.meta.url));
  const node = spawn(process.execPath, [file, launcher, String(section), String(index), ...extra], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: temporary },
  });
  const output: Interface = createInterface(node.stdout);
  const lines = output[Symbol.asyncIterator]();
  const said = JSON.parse((await lines.next()).value ?? '{}') as KilledNode & { first?: number };
  return { first: undefined, ...said, node, lines };
}

/** Starts a helper and waits until something is held at its point. */
export async function holdNode(start: HeldStart, point: StopPoint): Promise<Held> {
  const said = await startNode(start, point);
  const { node } = said;
  let held: number | undefined;
  await within(() => {
    held = heldAt(point, node.pid ?? 0);
    return held !== undefined || node.exitCode !== null;
  });
  if (held === undefined) throw new Error(`${point.title}: never reached`);
  const family = descendants(said.launcher);
  return { ...said, first: said.first ?? family[0], held, family: [said.launcher, ...family] };
}

/** Sends a signal to a process that may be gone. */
export function signalIfThere(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits for the end of a helper. */
export async function nodeExit(node: ChildProcess): Promise<void> {
  if (node.exitCode === null && node.signalCode === null) await once(node, 'exit');
}

/** What is left of a container and its launcher. */
export function leftOf({ id, journal, family }: Held): string[] {
  return [
    ...family.filter((pid) => !hasEnded(pid)).map((pid) => `process ${pid}`),
    ...ownCgroups()
      .map((parent) => join(parent, `ringfort-${id}`))
      .filter((path) => existsSync(path)),
    ...[journal].filter((path) => existsSync(path)),
  ];
}

/** The first, the middle and the last point of each section, and all that are named. */
export function samplePoints(points: StopPoint[]): StopPoint[] {
  return points.filter((point) => {
    const section = points.filter((other) => other.section === point.section);
    const at = section.indexOf(point);
    return point.section === 4 || [0, section.length >> 1, section.length - 1].includes(at);
  });
}
