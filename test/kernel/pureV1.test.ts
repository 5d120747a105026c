import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { detectCgroups } from '../../lib/cgroups/index.js';
import { expectNoLeaks, snapshot } from '../helpers/leaks.js';
import { cgroups, command, type Requirement, root, suite } from '../helpers/needs.js';
import type { V1Pause } from '../helpers/pureV1.js';

const hybrid: Requirement = {
  name: 'a v1 freezer beside a v2 tree',
  check: () => {
    const { mode, v1 } = detectCgroups();
    const unified = existsSync('/sys/fs/cgroup/unified/cgroup.procs');
    return unified && v1.has('freezer') ? undefined : `the cgroups here are ${mode}`;
  },
};

/** A mount namespace of its own, without the v2 tree (`npm run test:v1` for whole suites). */
const withoutV2 = 'umount /sys/fs/cgroup/unified && exec "$@"';

suite('where cgroup v1 is all there is', [root, cgroups, hybrid, command('unshare')], () => {
  test('a kill ends a pause that is under way, and the pause says what came of it', async () => {
    const before = snapshot();
    const helper = fileURLToPath(new URL('../helpers/pureV1.js', import.meta.url));
    const program = ['-m', 'sh', '-c', withoutV2, 'sh', process.execPath, helper];
    const { stdout } = await promisify(execFile)('unshare', program);
    const said: V1Pause[] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(said).toHaveLength(24);
    for (const { unified, pause, signal } of said) {
      expect([unified, signal]).toEqual([false, 'SIGKILL']);
      expect(['paused', 'ERR_CONTAINER_NOT_RUNNING']).toContain(pause);
    }
    await expectNoLeaks(before);
  });
});
