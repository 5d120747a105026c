import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { LostDescriptors } from '../helpers/lostDescriptors.js';
import { cgroups, command, root, suite } from '../helpers/needs.js';
import { buildStoppingLauncher } from '../helpers/stops.js';

// An ordinary user's launcher is not dumpable: only root may limit it.
suite('a launcher without room for a descriptor', [root, cgroups, command('c++')], () => {
  let launcher: string;
  beforeAll(() => {
    launcher = buildStoppingLauncher();
  });
  afterAll(() => rmSync(dirname(launcher), { recursive: true }));

  test('that it needs of a program fails that program, ends it, and goes on', async () => {
    const helper = fileURLToPath(new URL('../helpers/lostDescriptors.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [helper, launcher]);
    const { outcomes }: LostDescriptors = JSON.parse(stdout);
    const failed = {
      code: 'ERR_LAUNCH_FAILED',
      errno: -constants.errno.EMFILE,
      next: 'here\n',
      // Its init alone.
      running: 1,
    };
    expect(outcomes).toEqual([
      { lost: 'initForked', ...failed },
      { lost: 'gotPidfd', ...failed },
      { lost: 'terminal', ...failed },
    ]);
  });
});
