import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { command, root, suite } from '../helpers/needs.js';

const library = new URL('../../lib/host/idmaps.js', import.meta.url).href;
const nobody = 65534;

/** Maps a process in a new user namespace as a launcher is, and prints what the kernel then says. */
const mapper = `
  import { spawn } from 'node:child_process';
  import { readFileSync, readlinkSync } from 'node:fs';
  import { setTimeout } from 'node:timers/promises';
  import { applyLauncherMap, launcherFacts, launcherMap } from '${library}';
  const map = launcherMap({ ...launcherFacts(), ...JSON.parse(process.argv[1]) });
  const child = spawn('unshare', ['--user', 'sleep', '60'], { stdio: 'ignore' });
  const namespace = (pid) => readlinkSync('/proc/' + pid + '/ns/user');
  const read = (file) =>
    readFileSync('/proc/' + child.pid + '/' + file, 'utf8').trim().replace(/ +/g, ' ');
  try {
    while (namespace(child.pid) === namespace('self')) await setTimeout(5);
    await applyLauncherMap(child.pid, map);
    console.log(JSON.stringify({ uids: read('uid_map'), gids: read('gid_map'),
      setgroups: read('setgroups'), fallback: map.fallback }));
  } catch ({ code }) {
    console.log(JSON.stringify({ code }));
  } finally {
    child.kill('SIGKILL');
  }
`;

const needs = ['unshare', 'setpriv', 'newuidmap', 'newgidmap'].map((name) => command(name));

suite('id maps of an ordinary user', [root, ...needs], () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  /** As nobody, with this text as /etc/subuid and /etc/subgid, in a mount namespace of its own. */
  function mapAsNobody(subids: string, facts: object = {}): unknown {
    const file = join(directory, 'subids');
    writeFileSync(file, subids);
    const ids = [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
    const script = `mount --bind ${file} /etc/subuid && mount --bind ${file} /etc/subgid &&
      exec setpriv ${ids.join(' ')} "$@"`;
    const node = [process.execPath, '--input-type=module', '-e', mapper, '--'];
    const { stdout, stderr } = spawnSync(
      'unshare',
      ['--mount', 'sh', '-c', script, 'sh', ...node, JSON.stringify(facts)],
      { encoding: 'utf8', cwd: '/' },
    );
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  }

  test('all extents are mapped by newuidmap and newgidmap, and groups can be set', () => {
    const map = `0 ${nobody} 1\n 1 300000 65536\n 65537 500000 65536`;
    expect(mapAsNobody(`nobody:500000:65536\nann:700000:5\n${nobody}:300000:65536\n`)).toEqual({
      uids: map,
      gids: map,
      setgroups: 'allow',
    });
  });

  test('without subordinate ids it is the own id, and groups cannot be set', () => {
    expect(mapAsNobody('ann:700000:65536\n')).toEqual({
      uids: `0 ${nobody} 1`,
      gids: `0 ${nobody} 1`,
      setgroups: 'deny',
      fallback: 'no subordinate uids in /etc/subuid',
    });
  });

  test('the id of somebody else is refused by the kernel', () => {
    expect(mapAsNobody('', { uid: 1 })).toEqual({ code: 'ERR_USERNS_RESTRICTED' });
  });

  test('ids that are not granted are refused by newuidmap', () => {
    const subuids = [{ start: 800000, count: 1 }];
    expect(mapAsNobody('nobody:300000:65536\n', { subuids })).toEqual({
      code: 'ERR_NEWUIDMAP_FAILED',
    });
  });
});
