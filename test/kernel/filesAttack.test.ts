import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { copyIn } from '../../lib/files/copyIn.js';
import { copyOut } from '../../lib/files/copyOut.js';
import type { FileSystem } from '../../lib/files/fileSystem.js';
import { run } from '../../lib/run.js';
import { type FileBox, fileBox } from '../helpers/fileAgents.js';
import { until } from '../helpers/launches.js';
import { command, linux, suite } from '../helpers/needs.js';

/** A directory of the host that a guest has, too, at /work. */
let shared: string;
/** One that no guest has. */
let outside: string;
let before: unknown;
let box: FileBox;
let fs: FileSystem;

function code(...expected: string[]) {
  return expect.objectContaining({ code: expect.stringMatching(`^(${expected.join('|')})$`) });
}

/** Everything below a directory, but for access times. */
function fingerprint(path: string): unknown {
  const { mode, uid, gid, nlink, size, ctimeMs, mtimeMs } = lstatSync(path);
  const isDirectory = (mode & 0o170000) === 0o040000;
  const inside = isDirectory
    ? readdirSync(path).map((name) => [name, fingerprint(join(path, name))])
    : [];
  const text = isDirectory ? '' : readFileSync(path, 'latin1');
  return { mode, uid, gid, nlink, size, ctimeMs, mtimeMs, text, inside };
}

beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), 'ringfort-outside-'));
  mkdirSync(join(outside, 'directory'));
  for (const name of ['sentinel', 'directory/file', 'directory/sentinel'])
    writeFileSync(join(outside, name), `sentinel ${name}`);
  before = fingerprint(outside);
});
afterEach(() => {
  expect(fingerprint(outside)).toEqual(before);
  rmSync(outside, { recursive: true });
});

suite('what a guest plants', [linux], () => {
  beforeAll(async () => {
    shared = mkdtempSync(join(tmpdir(), 'ringfort-files-'));
    chmodSync(shared, 0o755);
    box = await fileBox({ mounts: [`${shared}:/work`] });
    fs = box.fs;
  });
  afterAll(async () => {
    await box.end();
    rmSync(shared, { recursive: true });
  });
  afterEach(() => fs.rm('/work/dir', { recursive: true, force: true }));

  test('magic links of proc lead nowhere', async () => {
    const pid = process.pid;
    const links = ['exe', 'root', 'cwd', 'fd/0', 'fd/3', 'root/etc/passwd', 'cwd/x', 'ns/net'];
    const paths = links.flatMap((link) => [`/proc/self/${link}`, `/proc/1/${link}`]);
    await fs.mkdir('/work/dir');
    await fs.symlink('/proc/self/root', '/work/dir/root');
    for (const path of [...paths, '/work/dir/root/etc/passwd', `/proc/${pid}/root/x`]) {
      const calls = [
        fs.readFile(path),
        fs.writeFile(path, 'x'),
        fs.stat(path),
        fs.chmod(path, 0o777),
        fs.readdir(path),
        fs.copyFile(path, '/work/dir/copy'),
        fs.truncate(path),
        fs.mkdir(`${path}/x`),
        fs.rename(`${path}/x`, '/work/dir/x'),
        fs.watch(path).next(),
        copyOut(box.agent, `${path}/`, join(shared, 'x')),
      ];
      for (const result of await Promise.allSettled(calls)) {
        expect(result).toMatchObject({ status: 'rejected' });
        const { reason } = result as PromiseRejectedResult;
        expect(reason).toEqual(code('ELOOP', 'ENOENT', 'EACCES', 'ENOTDIR', 'EPERM'));
      }
    }
    expect(await fs.readdir('/work/dir')).toEqual(['root']);
  });

  test('interfaces of the kernel are not written with the rights of Node', async () => {
    await fs.mkdir('/work/dir');
    await fs.symlink('/proc/self/comm', '/work/dir/comm');
    const paths = [
      '/proc/self/comm',
      '/proc/1/oom_score_adj',
      '/work/dir/comm',
      '/proc/sys/kernel/domainname',
    ];
    for (const path of paths) {
      for (const flag of ['w', 'a', 'r+'])
        await expect(fs.writeFile(path, 'x', { flag })).rejects.toEqual(
          code('EPERM', 'EACCES', 'EROFS'),
        );
      await expect(
        copyIn(box.agent, join(outside, 'sentinel'), '/proc/self/comm/x'),
      ).rejects.toThrow();
    }
    expect(await fs.readFile('/work/dir/comm', 'utf8')).toBe('ringfort-files\n');
  });

  suite('special files', [command('mkfifo')], () => {
    test('a fifo, a socket and a device are refused at once', async () => {
      await fs.mkdir('/work/dir');
      execFileSync('mkfifo', [join(shared, 'dir/fifo')]);
      const server = createServer().listen(join(shared, 'dir/socket'));
      await new Promise((resolve) => server.once('listening', resolve));
      try {
        for (const path of ['/work/dir/fifo', '/work/dir/socket', '/dev/null', '/dev/zero']) {
          for (const flag of ['r', 'r+', 'w', 'a'])
            await expect(fs.open(path, flag)).rejects.toEqual(code('ENXIO'));
          await expect(fs.open(path, 'wx')).rejects.toEqual(code('EEXIST'));
          await expect(fs.truncate(path)).rejects.toEqual(code('EINVAL'));
          await expect(copyOut(box.agent, path, outside)).rejects.toEqual(code('ENXIO'));
        }
        expect((await fs.stat('/work/dir/fifo')).isFIFO()).toBe(true);
        await fs.chmod('/work/dir/fifo', 0o600);
        await fs.utimes('/work/dir/socket', 1, 1);
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    });
  });

  test('a link at every name that a call writes is not followed out', async () => {
    await fs.mkdir('/work/dir');
    const target = (name: string) => join(outside, name);
    // Links as a guest could plant them: to where the host has something and the guest has not.
    for (const [name, to] of [
      ['file', 'sentinel'],
      ['directory', 'directory'],
      ['link', 'sentinel'],
    ])
      symlinkSync(target(to as string), join(shared, 'dir', name as string));
    const calls = [
      fs.writeFile('/work/dir/file', 'x', { flag: 'r+' }),
      fs.appendFile('/work/dir/directory/file', 'x'),
      fs.chmod('/work/dir/file', 0o777),
      fs.truncate('/work/dir/file', 0),
      fs.utimes('/work/dir/file', 1, 1),
      fs.mkdir('/work/dir/directory/new'),
      fs.rm('/work/dir/directory/file'),
      fs.rename('/work/dir/directory/file', '/work/dir/stolen'),
      fs.link('/work/dir/directory/file', '/work/dir/stolen'),
      fs.symlink('x', '/work/dir/directory/new'),
      fs.readFile('/work/dir/file'),
      copyIn(box.agent, target('sentinel'), '/work/dir/directory/new'),
    ];
    for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');
    await fs.rm('/work/dir/directory', { recursive: true });
    await expect(fs.lstat('/work/dir/directory')).rejects.toEqual(code('ENOENT'));
  });

  test('a copy out into a directory that the guest has does not follow its links', async () => {
    await fs.mkdir('/work/dir/source/directory', { recursive: true });
    for (const name of ['sentinel', 'directory/file', 'directory/sentinel'])
      await fs.writeFile(`/work/dir/source/${name}`, 'evil');
    await fs.symlink('evil', '/work/dir/source/link');
    const to = join(shared, 'dir/to');
    mkdirSync(join(to, 'source'), { recursive: true });
    for (const name of ['sentinel', 'link'])
      symlinkSync(join(outside, 'sentinel'), join(to, 'source', name));
    symlinkSync(join(outside, 'directory'), join(to, 'source/directory'));
    // Where a directory has to be, there is a link: refused, not followed.
    await expect(copyOut(box.agent, '/work/dir/source', to)).rejects.toEqual(
      code('ENOTDIR', 'ELOOP'),
    );
    rmSync(join(to, 'source/directory'));
    await copyOut(box.agent, '/work/dir/source', to);
    expect(lstatSync(join(to, 'source/sentinel')).isFile()).toBe(true);
    expect(readFileSync(join(to, 'source/sentinel'), 'utf8')).toBe('evil');
    symlinkSync(join(outside, 'sentinel'), join(to, 'one'));
    await copyOut(box.agent, '/work/dir/source/sentinel', join(to, 'one'));
    expect(lstatSync(join(to, 'one')).isFile()).toBe(true);
  });

  test('300 copies while a guest swaps directories for links out', async () => {
    await fs.mkdir('/work/dir/tree/directory', { recursive: true });
    for (const name of ['directory/file', 'directory/sentinel', 'sentinel'])
      await fs.writeFile(`/work/dir/tree/${name}`, 'guest');
    mkdirSync(join(shared, 'dir/to/tree/directory'), { recursive: true });
    const stop = new AbortController();
    const script = `while :; do for at in tree to/tree in/tree; do
      mv $at/directory $at/away 2>/dev/null && ln -s ${outside}/directory $at/directory
      rm -f $at/directory 2>/dev/null; mv $at/away $at/directory 2>/dev/null; done; done`;
    const guest = run('sh', ['-c', `cd /work/dir; touch started; ${script}`], {
      mounts: [`${shared}:/work`],
      limits: 'none',
      signal: stop.signal,
      killSignal: 'SIGKILL',
      env: { PATH: '/usr/bin' },
    });
    const source = mkdtempSync(join(tmpdir(), 'ringfort-source-'));
    const fresh = mkdtempSync(join(tmpdir(), 'ringfort-fresh-'));
    mkdirSync(join(source, 'tree/directory'), { recursive: true });
    writeFileSync(join(source, 'tree/directory/sentinel'), 'host');
    try {
      await until(() => existsSync(join(shared, 'dir/started')));
      for (let i = 0; i < 100; i++) {
        // From a tree that changes; into one that changes on the host; into one that does inside.
        await copyOut(box.agent, '/work/dir/tree', join(fresh, String(i))).catch(isSystemError);
        await copyOut(box.agent, '/work/dir/tree', join(shared, 'dir/to')).catch(isSystemError);
        await copyIn(box.agent, join(source, 'tree'), '/work/dir/in').catch(isSystemError);
      }
      const copied = readdirSync(fresh, { recursive: true, withFileTypes: true });
      const files = copied.filter((entry) => entry.isFile());
      expect(files.length).toBeGreaterThan(100);
      for (const file of files)
        expect(readFileSync(join(file.parentPath, file.name), 'utf8')).toBe('guest');
    } finally {
      stop.abort();
      await expect(guest).rejects.toThrow('abort');
      for (const each of [source, fresh]) rmSync(each, { recursive: true });
    }
  });

  test('a removal while a guest swaps directories for links', async () => {
    const stop = new AbortController();
    const script = `mkdir -p /work/dir/keep/x; touch /work/dir/started; while :; do mkdir -p a/b/c 2>/dev/null
      mv a/b away 2>/dev/null && ln -s /work/dir/keep a/b; rm -f a/b 2>/dev/null; mv away a/b 2>/dev/null; done`;
    mkdirSync(join(shared, 'dir/tree'), { recursive: true });
    const guest = run('sh', ['-c', `cd /work/dir/tree; ${script}`], {
      mounts: [`${shared}:/work`],
      limits: 'none',
      signal: stop.signal,
      killSignal: 'SIGKILL',
      env: { PATH: '/usr/bin' },
    });
    try {
      await until(() => existsSync(join(shared, 'dir/started')));
      for (let i = 0; i < 100; i++) {
        await until(() => existsSync(join(shared, 'dir/tree/a/b')));
        await fs.rm('/work/dir/tree/a', { recursive: true, force: true }).catch(isSystemError);
      }
      expect(readdirSync(join(shared, 'dir/keep'))).toEqual(['x']);
    } finally {
      stop.abort();
      await expect(guest).rejects.toThrow('abort');
    }
  });
});

function isSystemError(error: NodeJS.ErrnoException): void {
  expect(error.code).toMatch(/^E[A-Z]+$/);
}
