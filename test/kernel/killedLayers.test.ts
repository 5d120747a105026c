import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createContainer, loadSnapshot, removeSnapshot } from '../../lib/index.js';
import { hasEnded, until } from '../helpers/launches.js';
import { LayerBench } from '../helpers/layers.js';
import { cgroups, linux, suite } from '../helpers/needs.js';

const many = 2000;

suite('kill -9 of Node while layers are copied', [linux, cgroups], () => {
  let bench: LayerBench;
  beforeEach(async () => {
    bench = new LayerBench();
    mkdirSync(join(bench.rootfs.upper, 'many'));
    for (let i = 0; i < many; i++) writeFileSync(join(bench.rootfs.upper, `many/${i}`), `${i}`);
    await using box = await createContainer(bench.options);
    await box.snapshot({ path: bench.at('taken') });
  });
  afterEach(() => bench.remove());

  /** Kills it when something can be seen, and waits for the end of its container. */
  async function kill(call: string, when: () => boolean): Promise<void> {
    const helper = fileURLToPath(new URL('../helpers/layersChild.js', import.meta.url));
    const child = spawn(process.execPath, [helper, bench.path, call], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    createInterface(child.stdout).on('line', (line) => lines.push(line));
    await until(when);
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    expect(await exit).toEqual([null, 'SIGKILL']);
    const pids = JSON.parse(lines[0] ?? '[]') as number[];
    await until(() => pids.every(hasEnded));
  }

  /** Whether a copy is on its way, in whatever order. */
  function copiesTo(directory: string): boolean {
    const path = bench.at(directory);
    return existsSync(path) && readdirSync(path).length >= 10;
  }

  test.each([
    ['its copy', () => copiesTo('.upper.ringfort-rollback/upper/many'), true],
    [
      'its exchange',
      () => existsSync(bench.at('upper/many')) && !existsSync(bench.at('upper/later')),
      undefined,
    ],
  ])(
    'in %s of a rollback: the layer is the old or the new one, and another rollback works',
    async (_, when, old) => {
      let before = false;
      await kill('rollback', () => {
        before ||= existsSync(bench.at('upper/later'));
        return before && when();
      });
      expect(readdirSync(bench.at('upper/many'))).toHaveLength(many);
      if (old !== undefined) expect(existsSync(bench.at('upper/later'))).toBe(old);
      await using box = await createContainer(bench.options);
      await using again = await box.rollback(await loadSnapshot(bench.at('taken')));
      expect((await again.shell('ls /many | wc -l; ls /later')).stdout).toBe(`${many}\n`);
      expect(readdirSync(bench.path).sort()).toEqual(['lower', 'taken', 'upper', 'work']);
    },
  );

  test.each(['snapshot', 'fork'])(
    'in a %s: what it has left is no snapshot, and can be removed',
    async (call) => {
      await kill(call, () => copiesTo('half/upper/many'));
      const path = bench.at('half');
      await expect(loadSnapshot(path)).rejects.toMatchObject({ code: 'ERR_SNAPSHOT_NOT_FOUND' });
      await removeSnapshot({ path });
      expect(readdirSync(bench.path).sort()).toEqual(['lower', 'taken', 'upper', 'work']);
      await using box = await createContainer(bench.options);
      expect((await box.shell('cat /later; ls /many | wc -l')).stdout).toBe(`later${many}\n`);
    },
  );
});
