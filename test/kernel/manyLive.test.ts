import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Container, createContainer } from '../../lib/index.js';
import { cgroups, root, suite } from '../helpers/needs.js';

/** Mappings of a process, without where they lie and what is behind them. */
function mappings(pid: number): string[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').trim().split('\n');
  return lines.map((line) => line.replace(/^\S+ (\S+) \S+ \S+ \S+\s*/, '$1 '));
}

function field(pid: number, file: string, name: string): number {
  const text = readFileSync(`/proc/${pid}/${file}`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]);
}

// A clone copies what the launcher has: what it keeps of its containers must not be among that.
suite('a container beside many that live', [cgroups, root], () => {
  const boxes: Container[] = [];
  const pids = () => boxes.map(({ pid }) => pid as number);
  beforeAll(async () => {
    // More than one mapping of report pages (64), and more than the table begins with.
    for (let i = 0; i < 140; i++) boxes.push(await createContainer({ network: 'host' }));
  });
  afterAll(async () => {
    await Promise.all(boxes.map((box) => box[Symbol.asyncDispose]()));
  });

  test('its init has the mappings that the first one has', () => {
    const [first, last] = [pids()[0] as number, pids().at(-1) as number];
    expect(mappings(last)).toEqual(mappings(first));
  });

  test('and one page to report in, its own', () => {
    const shared = pids().map((pid) => mappings(pid).filter((line) => line.startsWith('rw-s')));
    expect(shared.every((lines) => lines.length === 1)).toBe(true);
    expect(field(pids().at(-1) as number, 'smaps_rollup', 'Pss_Shmem')).toBeLessThanOrEqual(4);
  });

  test('its own /proc/sys is what its bounds are written to', async () => {
    const bounds = ['max_inotify_instances', 'max_inotify_watches'].map(
      (name) => `/proc/sys/user/${name}`,
    );
    const { stdout } = await (boxes.at(-1) as Container).exec('cat', bounds);
    expect(stdout).toBe('64\n4096\n');
  });

  test('each page is used once: what ends and comes again reports for itself', async () => {
    for (let i = 0; i < 70; i++) {
      const box = boxes[i % 7] as Container;
      await box[Symbol.asyncDispose]();
      boxes[i % 7] = await createContainer({ command: ['sleep', '600'], network: 'host' });
      const missing = createContainer({ command: [`no-such-${i}`], network: 'host' });
      await expect(missing).rejects.toMatchObject({ path: `no-such-${i}` });
    }
    const said = await Promise.all(boxes.map((box, i) => box.exec('echo', [String(i)])));
    expect(said.map(({ stdout }) => stdout)).toEqual(boxes.map((_, i) => `${i}\n`));
  });
});
