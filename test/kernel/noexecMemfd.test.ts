import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { launcherPath } from '../../lib/native/load.js';
import type { LauncherProgram } from '../helpers/launcherProgram.js';
import { cgroups, command, type Requirement, root, suite } from '../helpers/needs.js';

const sysctl = '/proc/sys/vm/memfd_noexec';

/** Linux 6.3; each pid namespace has its own. */
const memfdNoexec: Requirement = {
  name: 'vm.memfd_noexec below 2',
  check() {
    if (!existsSync(sysctl)) return 'not in /proc/sys';
    return Number(readFileSync(sysctl, 'utf8')) < 2 ? undefined : 'it is 2';
  },
};

function launched(script: string): LauncherProgram {
  const helper = fileURLToPath(new URL('../helpers/launcherProgram.js', import.meta.url));
  const namespaces = ['--pid', '--fork', '--mount-proc', '--propagation', 'private'];
  const run = ['sh', '-ec', `${script}exec "$@"`, 'sh', process.execPath, helper];
  const { stdout, stderr } = spawnSync('unshare', [...namespaces, ...run], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

suite('where no memfd may be executed', [root, cgroups, command('unshare'), memfdNoexec], () => {
  test('the launcher is its twin on disk, and walls are the same', () => {
    const { program, ...usual } = launched('');
    expect(program).toMatch(/^\/memfd:/);
    expect(launched(`echo 2 >${sysctl}; `)).toEqual({ ...usual, program: launcherPath() });
    expect(usual.enforced.length).toBeGreaterThan(5);
  });
});
