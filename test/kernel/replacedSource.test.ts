import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createContainer, run } from '../../lib/index.js';
import { expectNoLeaks, snapshot } from '../helpers/leaks.js';
import { cgroups, command, suite } from '../helpers/needs.js';
import type { ReplacedBusy } from '../helpers/replacedBusy.js';
import { buildStoppingLauncher } from '../helpers/stops.js';

/** Replaces a file as updates do, again and again. */
const replace = `
  const { renameSync, writeFileSync } = require('node:fs');
  for (let i = 0; ; i++) {
    writeFileSync(process.argv[1] + '.new', 'whole\\n', { mode: 0o644 });
    renameSync(process.argv[1] + '.new', process.argv[1]);
    if (i === 0) console.log('going');
    // Often enough to be met by some launches, and not by four attempts of one.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);
  }`;

suite('a file of the host that is replaced while it is mounted', [cgroups], () => {
  let directory: string;
  let file: string;
  let replacing: ChildProcess;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rf-replaced-'));
    file = join(directory, 'file');
    writeFileSync(file, 'whole\n');
    replacing = spawn(process.execPath, ['--eval', replace, file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (replacing.stdout !== null) await once(replacing.stdout, 'data');
  });
  afterAll(async () => {
    const over = once(replacing, 'exit');
    replacing.kill('SIGKILL');
    await over;
    rmSync(directory, { recursive: true });
  });

  test('is there whole, and the streams are as ever', async () => {
    await run('true');
    const before = snapshot();
    for (let i = 0; i < 100; i++) {
      const mounts = [`${file}:/tmp/file:ro`];
      const { stdout, exitCode } = await run('cat', ['/tmp/file', '-'], { mounts, input: `${i}` });
      expect([stdout, exitCode]).toEqual([`whole\n${i}`, 0]);
    }
    for (let i = 0; i < 10; i++) {
      await using box = await createContainer({ mounts: [`${file}:/tmp/file:ro`] });
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
    }, 120_000);
  });
});
