import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import type { Absence } from '../helpers/absentWorker.js';
import { cgroups, command, suite } from '../helpers/needs.js';
import { buildStoppingLauncher } from '../helpers/stops.js';

/** Calls without which a container is as it is with them. */
const optional = [
  // Every kernel has these; what they do, others do as well.
  ...['close', 'munmap', 'rt_sigaction', 'umask', 'getppid', 'kill'],
  ...[
    'rt_sigtimedwait',
    'ftruncate',
    'clock_gettime',
    'ppoll',
    'unlinkat',
    'pread64',
    'readlinkat',
  ],
  'keyctl', // without CONFIG_KEYS there are no keyrings
  'copy_file_range',
  'futex', // who waits for its init looks again
  'madvise', // memory that others use is given up when it is executed or left, too
];

suite('a system call that does not exist', [cgroups, command('c++')], () => {
  test('is a refusal, or changes nothing of what a guest sees of its walls', async () => {
    const launcher = buildStoppingLauncher();
    const worker = fileURLToPath(new URL('../helpers/absentWorker.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [worker, launcher]);
    rmSync(dirname(launcher), { recursive: true });
    const found = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Absence);
    expect(found.length).toBeGreaterThan(50);
    expect(found.filter(({ problem }) => problem !== undefined)).toEqual([]);
    const same = found.filter(({ outcome }) => outcome === 'same').map(({ call }) => call);
    expect(same.filter((call) => !optional.includes(call))).toEqual([]);
    const refused = found.filter(({ outcome }) => outcome.startsWith('ERR_'));
    expect(refused.map(({ call }) => call)).toEqual(
      expect.arrayContaining(['openat2', 'clone3', 'mount_setattr', 'seccomp']),
    );
  }, 600_000);
});
