import { readlinkSync, writeSync } from 'node:fs';
import type { Channel } from '../../lib/native/binding.js';
import { loadBinding } from '../../lib/native/load.js';
import { stopRequest } from './stops.js';

/** What a process that is to be killed says before it does what it will be killed at. */
export interface KilledNode {
  launcher: number;
  /** Path of the launcher's journal. */
  journal: string;
  /** Of the container. */
  id: string;
}

let channel: Channel | undefined;
let journal = '';
const journals: string[] = [];

/** From now on launchers of this process are the program at `path`: with stop points, or without a wall. */
export function useLauncher(path: string): void {
  const binding = loadBinding();
  binding.Channel = class extends binding.Channel {
    constructor(...[launcher, ...rest]: ConstructorParameters<typeof binding.Channel>) {
      // One that runs already.
      if (typeof launcher === 'number') {
        super(launcher, ...rest);
        return;
      }
      const [, journalFd] = rest;
      journal = journalFd < 0 ? '' : readlinkSync(`/proc/self/fd/${journalFd}`);
      journals.push(journal);
      super(path, ...rest);
      channel = this;
    }
  };
}

/** Path of the last launcher's journal. */
export function journalPath(): string {
  return journal;
}

/** Paths of all launchers' journals. */
export function journalPaths(): readonly string[] {
  return journals.filter((path) => path !== '');
}

/** Tells the last launcher where to stop next; `~0` is nowhere. */
export function stopAt(point: number): void {
  channel?.send(stopRequest, 0, point >>> 0, undefined, []);
}

/** A line of JSON on stdout, at once. */
export function say(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}
