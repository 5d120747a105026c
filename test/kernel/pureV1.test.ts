import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { expectNoLeaks, snapshot } from '../helpers/leaks.js';
import { cgroups, command, hybrid, root, suite } from '../helpers/needs.js';
import type { V1Pause } from '../helpers/pureV1.js';

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
