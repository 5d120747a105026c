import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { run } from '../../lib/index.js';
import { cgroups, command, root, suite } from '../helpers/needs.js';

const ids = async (options: object) => {
  const { stdout, stderr } = await run('sh', ['-c', 'id -u; id -g; id -G'], options);
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
};

// An ordinary user without subordinate ids has one id to give, which is the container's root.
suite('the user of a program', [cgroups, root], () => {
  let etc: string;
  beforeAll(() => {
    etc = mkdtempSync(join(tmpdir(), 'ringfort-user-'));
    mkdirSync(join(etc, 'etc'));
    writeFileSync(join(etc, 'passwd'), 'root:x:0:0::/:\nann:x:1000:1001::/:\n');
    writeFileSync(join(etc, 'group'), 'ann:x:1001:\nwheel:x:10:bob,ann\nusers:x:100:bob\n');
    chmodSync(etc, 0o755);
  });
  afterAll(() => rmSync(etc, { recursive: true }));

  test('uid, gid and groups as given', async () => {
    expect(await ids({ uid: 1000, gid: 1001, groups: [7, 8] })).toEqual([
      '1000',
      '1001',
      '1001 7 8',
    ]);
  });

  test('a uid whose group nobody knows gets group 0', async () => {
    expect(await ids({ uid: 4242 })).toEqual(['4242', '0', '0']);
  });

  test('a name of the host root', async () => {
    expect(await ids({ user: 'nobody' })).toEqual(['65534', '65534', '65534']);
    expect(await ids({ user: 'nobody:0' })).toEqual(['65534', '0', '0']);
    expect(await ids({ user: '12:34' })).toEqual(['12', '34', '34']);
  });

  test.each([
    ['user', { user: 'no-such-user' }],
    ['group', { user: 'nobody:no-such-group' }],
  ])('a %s that is not there', async (_, options) => {
    await expect(run('true', [], options)).rejects.toMatchObject({
      name: 'NotFoundError',
      code: 'ERR_USER_NOT_FOUND',
      option: 'user',
    });
  });

  suite('in a root that is a directory', [command('python3')], () => {
    test('is looked up without waiting for a lease that somebody has on its files', async () => {
      const rootfs = mkdtempSync(join(tmpdir(), 'ringfort-lease-'));
      mkdirSync(join(rootfs, 'etc'));
      const passwd = join(rootfs, 'etc/passwd');
      writeFileSync(passwd, 'ann:x:1000:1001::/:\n');
      // F_SETLEASE, F_WRLCK: whoever waits for it to be broken finds ann after 45 s (lease-break-time).
      const script = `import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], 'r+')
fcntl.fcntl(file, 1024, 1)
print('leased', flush=True)
sys.stdin.read()`;
      const holder = spawn('python3', ['-c', script, passwd], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      try {
        await once(holder.stdout, 'data');
        const options = { rootfs, user: 'ann' };
        const refused = { code: 'ERR_USER_NOT_FOUND', option: 'user' };
        await expect(run('/true', [], options)).rejects.toMatchObject(refused);
        holder.stdin.end();
        await once(holder, 'close');
        await expect(run('/true', [], options)).rejects.not.toMatchObject(refused);
      } finally {
        holder.kill('SIGKILL');
        rmSync(rootfs, { recursive: true });
      }
    });
  });

  test.each([
    ['uid', { uid: 70_000 }],
    ['gid', { gid: 70_000 }],
    ['groups[1]', { groups: [1, 70_000] }],
    ['uid', { user: '70000' }],
  ])('an id beyond the map of the container: %s', async (option, options) => {
    await expect(run('true', [], options)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      option,
    });
  });

  test('the home directory is the user’s own', async () => {
    const script = 'pwd; touch here && stat -c "%a %u" . ; touch /root/no';
    const result = await run('sh', ['-c', script], { uid: 1000, gid: 1000 });
    expect(result.stdout).toBe('/home/user\n700 1000\n');
    expect(result.exitCode).not.toBe(0);
  });
});
