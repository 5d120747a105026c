import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cgroups, command, root, suite, userns } from '../helpers/needs.js';

const here = fileURLToPath(new URL('../../../', import.meta.url));
const { delegate, remove } = createRequire(import.meta.url)(join(here, 'scripts/userPass.cjs')) as {
  delegate(uid: number): Promise<string[]>;
  remove(dir: string): void;
};

/** Nobody has this id, so it has no subordinate ids. */
const uid = 54321;

suite('a user without subordinate ids', [root, cgroups, userns, command('setpriv')], () => {
  let place: string;
  beforeAll(() => {
    // The package where this user can read it.
    place = mkdtempSync('/var/tmp/ringfort-');
    chmodSync(place, 0o755);
    for (const path of ['package.json', 'dist', 'build/Release/ringfort.node'])
      cpSync(join(here, path), join(place, path), { recursive: true });
    const home = join(place, 'home');
    mkdirSync(home, 0o700);
    chownSync(home, uid, uid);
  });
  afterAll(() => rmSync(place, { recursive: true }));

  async function outcomes(cgroup: 'none' | 'own', dirs: readonly string[]) {
    const enter = 'for dir in $DIRS; do echo $$ > "$dir/cgroup.procs"; done; exec "$@"';
    const ids = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const worker = join(place, 'dist/test/helpers/singleIdWorker.js');
    const args = ['setpriv', ...ids, process.execPath, worker, cgroup];
    const home = join(place, 'home');
    const { stdout } = await promisify(execFile)('sh', ['-c', enter, 'sh', ...args], {
      cwd: '/',
      env: {
        PATH: process.env.PATH,
        HOME: home,
        XDG_RUNTIME_DIR: home,
        TMPDIR: home,
        DIRS: dirs.join(' '),
      },
    });
    return JSON.parse(stdout);
  }

  const works = {
    exec: 'ok',
    terminal: 'ok',
    files: 'ok',
    'copyIn, copyOut': 'ok',
    'another user': 'ERR_INVALID_OPTION hint',
    stats: 'ok',
    'joining program': 'ok',
    detached: 'ok',
    'changes of a kept layer': 'ok',
  };

  test('and without a cgroup has all that needs none, once it gives the limits up', async () => {
    const refused = 'ERR_CGROUP_UNAVAILABLE hint';
    expect(await outcomes('none', [])).toEqual({
      ...works,
      'default limits': refused,
      'limits of a program': refused,
      update: refused,
      pause: refused,
    });
  });

  test('and with a cgroup of its own has all but other ids', async () => {
    const dirs = await delegate(uid);
    try {
      expect(await outcomes('own', dirs)).toEqual({
        ...works,
        'default limits': 'ok',
        'limits of a program': 'ok',
        update: 'ok',
        pause: 'ok',
      });
    } finally {
      for (const dir of dirs) {
        // What moveToLeafCgroup() has made.
        const leaf = join(dir, 'ringfort-self');
        if (existsSync(leaf)) rmdirSync(leaf);
        remove(dir);
      }
    }
  });
});
