import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RunOptions } from '../../lib/options.js';
import { run } from '../../lib/run.js';
import { landlockAbi } from '../../lib/sys/index.js';
import { hostMounts } from '../helpers/leaks.js';
import { linux, type Requirement, root, suite } from '../helpers/needs.js';

let dir = '';

/** A directory that is a root but for /usr, which is bound; all mount points are there. */
function makeRoot(name: string, ...without: string[]): string {
  const path = join(dir, name);
  for (const each of ['usr', 'etc', 'data', 'proc', 'sys', 'dev', 'tmp'])
    if (!without.includes(each)) mkdirSync(join(path, each), { recursive: true });
  for (const each of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${each}`, join(path, each));
  return path;
}

type Options = Omit<RunOptions, 'encoding'>;

/** What a shell script prints in a container; limits are another suite's. */
async function shell(script: string, options: Options = {}): Promise<string> {
  const { stdout, stderr } = await run('sh', ['-c', script], { limits: 'none', ...options });
  return `${stdout}${stderr}`;
}

const usr = '/usr:/usr:ro';

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringfort-mounts-'));
  chmodSync(dir, 0o755);
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

suite('mounts of a container', [linux], () => {
  test('the host root shows system directories, read-only, and nothing else of the host', async () => {
    const names = (await shell('ls /')).trim().split('\n');
    const known = /^(bin|sbin|lib|lib32|lib64|libx32|usr|etc|dev|proc|sys|tmp|var|run|root)$/;
    for (const name of names) expect(name).toMatch(known);
    const out = await shell('for f in /x /usr/x /etc/x; do echo > $f; done; cat /etc/shadow');
    expect(out.match(/Read-only file system/g)).toHaveLength(3);
    expect(out).toContain('No such file');
    expect(await shell('echo a > /tmp/a; cd /root; echo b > b; cat /tmp/a b')).toBe('a\nb\n');
  });

  test('no mount of the container reaches the host', async () => {
    const before = hostMounts();
    await shell('true', { mounts: [`${dir}:/tmp/seen`] });
    expect(hostMounts()).toEqual(before);
  });

  test('/dev holds the minimum, and its devices are the real ones', async () => {
    const out = await shell(
      'ls /dev; stat -c %t:%T /dev/null; head -c 4 /dev/zero | wc -c; echo > /dev/null',
    );
    expect(out.split('\n')).toEqual([
      ...['fd', 'full', 'mqueue', 'null', 'ptmx', 'pts', 'random', 'shm', 'stderr', 'stdin'],
      ...['stdout', 'tty', 'urandom', 'zero', '1:3', '4', ''],
    ]);
    expect(await shell('chmod 600 /dev/null; touch -d @0 /dev/null')).toContain('Read-only');
  });

  test('a read-only directory gets the mount points that it lacks, and stays as it is', async () => {
    const path = makeRoot('bare', 'proc', 'sys', 'dev', 'tmp');
    symlinkSync('/data', join(path, 'link'));
    const before = readdirSync(path).sort();
    writeFileSync(join(dir, 'file'), 'seen');
    const mounts = [usr, `${dir}/file:/link/new/file:ro`];
    expect(await shell('cat /data/new/file; echo > /x', { rootfs: path, mounts })).toMatch(
      /^seen.*Read-only file system/s,
    );
    expect(readdirSync(path).sort()).toEqual(before);
    expect(readdirSync(join(path, 'data'))).toEqual([]);
  });

  test('a writable directory is written by the container as its owner', async () => {
    const path = makeRoot('writable');
    const options = { rootfs: path, readonly: false, mounts: [usr] };
    expect(await shell('echo kept > /data/new; stat -c %u /data/new', options)).toBe('0\n');
    expect(readFileSync(join(path, 'data/new'), 'utf8')).toBe('kept\n');
    expect(statSync(join(path, 'data/new')).uid).toBe(process.getuid?.());
  });

  test('a link in place of /proc is refused, and nothing is mounted where it leads', async () => {
    const path = makeRoot('linked', 'proc');
    symlinkSync('/tmp', join(path, 'proc'));
    const options = { rootfs: path, readonly: false, mounts: [usr] };
    await expect(shell('true', options)).rejects.toMatchObject({
      code: 'ERR_UNSAFE_PATH',
      phase: 'mount',
      path: '/proc',
    });
  });

  test('an overlay in memory takes every change and forgets it', async () => {
    const lower = [makeRoot('top'), makeRoot('base')];
    writeFileSync(join(dir, 'base/data/old'), 'old');
    const script = 'cat /data/old; rm /data/old; ls /data; echo new > /new; cat /new';
    const options = { rootfs: { lower, size: '1MiB' }, mounts: [usr] };
    expect(await shell(script, options)).toBe('oldnew\n');
    expect(await shell('head -c 4m /dev/zero > /big', options)).toContain('No space left');
    expect(existsSync(join(dir, 'base/data/old'))).toBe(true);
  });

  test('an overlay with a kept layer remembers', async () => {
    const rootfs = {
      lower: [makeRoot('lower')],
      upper: join(dir, 'kept/upper'),
      work: join(dir, 'kept/work'),
    };
    mkdirSync(rootfs.upper, { recursive: true });
    mkdirSync(rootfs.work);
    const options = { rootfs, mounts: [usr] };
    await shell('echo kept > /new; rmdir /data', options);
    expect(await shell('cat /new; ls -d /data', options)).toMatch(/^kept\n.*No such file/s);
    expect(readFileSync(join(rootfs.upper, 'new'), 'utf8')).toBe('kept\n');
    expect(readdirSync(rootfs.lower[0] as string)).not.toContain('new');
  });

  test('a read-only bind is read-only, a writable one is not, and its owners look right', async () => {
    const path = join(dir, 'volume');
    mkdirSync(path);
    const mounts = [`${path}:/tmp/a/b`, `${path}:/mnt/c:ro`];
    const out = await shell('echo x > /tmp/a/b/new; stat -c %u /mnt/c/new; echo > /mnt/c/y', {
      mounts,
    });
    expect(out).toMatch(/^0\n.*Read-only file system/s);
    expect(statSync(join(path, 'new')).uid).toBe(process.getuid?.());
  });

  test('every tmpfs is full at its bound, of bytes and of files', async () => {
    const mount = { destination: '/mnt', type: 'tmpfs', options: ['size=64k', 'nr_inodes=16'] };
    const fill =
      'head -c 1m /dev/zero > /mnt/big; rm /mnt/big; for i in $(seq 40); do : > /mnt/$i; done';
    const out = await shell(`(${fill}) 2>&1 | grep -c "No space left"; ls /mnt | wc -l`, {
      mounts: [mount],
    });
    const [errors, files] = out.trim().split('\n').map(Number);
    expect(errors).toBeGreaterThan(1);
    expect(files).toBeLessThan(16);
  });

  test('masked paths are empty and read-only ones cannot be written', async () => {
    expect(await shell('cat /proc/keys /proc/timer_list; ls /sys/firmware')).toBe('');
    const write = 'cd /proc/sys/net/ipv4; echo 1 > ip_forward; cat ip_forward';
    const capabilities = ['CAP_NET_ADMIN'];
    expect(await shell(write, { capabilities })).toContain('Read-only file system');
    const options = { capabilities, maskedPaths: [], readonlyPaths: [] };
    expect(await shell(write, options)).toBe('1\n');
    expect(await shell('ls /sys/firmware', options)).not.toBe('');
  });

  test('a mask does not use what the root calls /dev/null', async () => {
    const path = makeRoot('trap', 'dev');
    mkdirSync(join(path, 'dev'));
    writeFileSync(join(path, 'dev/null'), 'trap');
    writeFileSync(join(path, 'data/secret'), 'secret');
    const options = { rootfs: path, mounts: [usr], maskedPaths: ['/data/secret'] };
    expect(await shell('cat /data/secret; stat -c %t:%T /data/secret', options)).toBe('1:3\n');
    expect(readFileSync(join(path, 'dev/null'), 'utf8')).toBe('trap');
  });
});

/** Landlock that can do renames, which is what `'auto'` asks for. */
const landlock: Requirement = {
  name: 'landlock',
  check: () => (landlockAbi() >= 2 ? undefined : `its ABI here is ${landlockAbi()}`),
};

suite('Landlock behind the mounts', [linux, landlock], () => {
  test('a program that could mount may not', async () => {
    const options: Options = { capabilities: ['CAP_SYS_ADMIN'], seccomp: 'unconfined' };
    const script = 'mount -t tmpfs none /tmp && grep -c " /tmp " /proc/self/mountinfo';
    expect(await shell(script, options)).not.toMatch(/^2$/m);
    expect(await shell(script, { ...options, landlock: 'off' })).toBe('2\n');
  });

  test('files move between directories, and what is writable can be used', async () => {
    const script = 'mkdir /tmp/a /tmp/b; echo x > /tmp/a/f; mv /tmp/a/f /tmp/b/; cat /tmp/b/f';
    expect(await shell(`${script}; echo 600 > /proc/self/oom_score_adj`)).toBe('x\n');
  });
});

suite('mounts of a container made by root', [linux, root], () => {
  test('a read-only root cannot be made writable by CAP_SYS_ADMIN', async () => {
    const path = makeRoot('admin');
    const options: Options = {
      rootfs: path,
      mounts: ['/usr:/usr:ro,dangerous'],
      capabilities: ['CAP_SYS_ADMIN'],
      seccomp: 'unconfined',
      landlock: 'off',
    };
    await shell('mount -o remount,rw /; mount -o remount,bind,rw /; echo > /data/x', options);
    expect(readdirSync(join(path, 'data'))).toEqual([]);
  });

  test("the host's directories cannot be made writable by CAP_SYS_ADMIN", async () => {
    const options: Options = {
      capabilities: ['CAP_SYS_ADMIN'],
      seccomp: 'unconfined',
      landlock: 'off',
    };
    const out = await shell('mount -o remount,bind,rw /usr && echo > /usr/ringfort-test', options);
    expect(out).toContain('Read-only file system');
    expect(existsSync('/usr/ringfort-test')).toBe(false);
  });
});
