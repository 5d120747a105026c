/**
 * A process that times launches for whoever has forked it: `scaleWorker.js [mounts]`, that many
 * mounts having been added to its mount namespace, which is then to be one of its own.
 */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mount } from '../lib/sys/index.js';
import { type Network, timeRun } from './scaleBoxes.js';

const MS_BIND = 0x1000;

function addMounts(count: number): void {
  if (count === 0) return;
  // All of it lies on a tmpfs, and goes with this namespace.
  const base = process.argv[3] ?? mkdtempSync(join(tmpdir(), 'ringfort-scale-'));
  mount('none', base, 'tmpfs', 0, 'mode=755');
  for (let i = 1; i < count; i++) {
    const place = join(base, String(i));
    mkdirSync(place);
    mount(base, place, undefined, MS_BIND);
  }
}

addMounts(Number(process.argv[2] ?? 0));
process.on('message', async (network: Network) => {
  process.send?.(await timeRun(network));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
