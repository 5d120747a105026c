import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { runtimeDir } from '../helpers/detached.js';
import type { LastingFaults } from '../helpers/lastingFaults.js';
import { cgroups, command, suite } from '../helpers/needs.js';
import { buildStoppingLauncher } from '../helpers/stops.js';

suite('a system call of ours that fails for good', [cgroups, runtimeDir, command('c++')], () => {
  test('is an error, and nobody waits for what will not come', async () => {
    const launcher = buildStoppingLauncher();
    const helper = fileURLToPath(new URL('../helpers/lastingFaults.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [helper, launcher]);
    rmSync(dirname(launcher), { recursive: true });
    const found: LastingFaults = JSON.parse(stdout);
    expect(found).toEqual({
      withoutReport: `ERR_LAUNCH_FAILED ${-constants.errno.ENOMEM}`,
      unheard: 'ERR_MONITOR_BUSY',
      next: 'exit 0',
      unanswered: 'ERR_LAUNCHER_GONE',
      undetached: `ERR_DETACH_FAILED ${-constants.errno.ENOMEM}`,
      leftOfIt: 0,
      letGo: 'ERR_LAUNCHER_GONE',
      afterwards: 'ERR_DISCONNECTED',
      rotated: 'lost, then end',
    });
  }, 900_000);
});
