import { execFile } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createContainer, run } from '../../lib/index.js';
import { expectNoLeaks, snapshot } from '../helpers/leaks.js';
import { cgroups, command, suite } from '../helpers/needs.js';
import type { ReplacedBusy } from '../helpers/replacedBusy.js';
import { buildStoppingLauncher } from '../helpers/stops.js';

suite('a file of the host that is replaced while it is mounted', [cgroups], () => {
  let directory: string;
  let file: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'rf-replaced-'));
    file = join(directory, 'file');
    replace();
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  /** As updates do. */
  function replace(): void {
    writeFileSync(`${file}.new`, 'whole\n', { mode: 0o644 });
    renameSync(`${file}.new`, file);
  }

  let usual = 0;

  /** Meets a launch once, somewhere: one that is met by every replacement may give up. */
  async function met<T>(work: () => Promise<T>): Promise<T> {
    const since = performance.now();
    const change = sleep(Math.random() * usual).then(replace);
    const result = await work();
    usual = performance.now() - since;
    await change;
    return result;
  }

  test('is there whole, and the streams are as ever', async () => {
    await run('true');
    const before = snapshot();
    for (let i = 0; i < 100; i++) {
      const mounts = [`${file}:/tmp/file:ro`];
      const options = { mounts, input: `${i}` };
      const { stdout, exitCode } = await met(() => run('cat', ['/tmp/file', '-'], options));
      expect([stdout, exitCode]).toEqual([`whole\n${i}`, 0]);
    }
    for (let i = 0; i < 10; i++) {
      await using box = await met(() => createContainer({ mounts: [`${file}:/tmp/file:ro`] }));
      expect((await box.exec('cat', ['/tmp/file'])).stdout).toBe('whole\n');
    }
    await expectNoLeaks(before);
  });

  suite('and whose launch cannot be undone at once', [command('c++')], () => {
    test('fails that launch: nobody waits for what is retried', async () => {
      const launcher = buildStoppingLauncher();
      const helper = fileURLToPath(new URL('../helpers/replacedBusy.js', import.meta.url));
      const { stdout } = await promisify(execFile)(process.execPath, [helper, launcher]);
      rmSync(dirname(launcher), { recursive: true });
      const { busy, ...found }: ReplacedBusy = JSON.parse(stdout);
      expect(busy).toBeGreaterThan(0);
      expect(found).toEqual({ outcome: 'ERR_MOUNT_NOT_FOUND', gone: true });
    });
  });
});
