import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { run } from '../../lib/run.js';
import { output, refusal, sh } from '../helpers/containers.js';
import { hostMounts } from '../helpers/leaks.js';
import { cgroups, command, linux, root, suite } from '../helpers/needs.js';
import { buildProbe, staticCompiler } from '../helpers/probe.js';

let directory: string;
let outside: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringfort-root-'));
  chmodSync(directory, 0o755);
  outside = join(directory, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'sentinel'), 'sentinel');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Mounts /usr, so that the root has programs. */
const mounts = ['/usr:/usr:ro'];

/** A root with every mount point, but for those that `instead` has as links. */
function makeRoot(name: string, instead: Record<string, string> = {}): string {
  const path = join(directory, name);
  mkdirSync(path);
  const links = { bin: 'usr/bin', lib: 'usr/lib', lib64: 'usr/lib64', ...instead };
  for (const each of ['usr', 'etc', 'proc', 'sys', 'dev', 'tmp', 'mnt', 'data'])
    if (!(each in instead)) mkdirSync(join(path, each));
  for (const [link, target] of Object.entries(links)) symlinkSync(target, join(path, link));
  return path;
}

/** Everything below a directory: type, mode, owner, size, links, change time, content. */
function fingerprint(path: string): unknown {
  const { mode, uid, gid, nlink, ctimeMs } = lstatSync(path);
  const names = (mode & 0o170000) === 0o040000 ? readdirSync(path).sort() : [];
  const inside = Object.fromEntries(names.map((name) => [name, fingerprint(join(path, name))]));
  const content = (mode & 0o170000) === 0o100000 ? readFileSync(path, 'latin1') : '';
  return { mode, uid, gid, nlink, ctimeMs, content, inside };
}

suite('a directory as root', [linux, cgroups], () => {
  test('is read-only unless it is said to be writable', async () => {
    const rootfs = makeRoot('plain');
    const before = fingerprint(rootfs);
    expect(await output('echo x > /x; echo x > /data/x; mkdir /tmp/d', { rootfs, mounts })).toMatch(
      /^(.*Read-only file system\n){3}$/,
    );
    expect(fingerprint(rootfs)).toEqual(before);
    await sh('echo kept > /data/x', { rootfs, mounts, readonly: false });
    expect(readFileSync(join(rootfs, 'data/x'), 'utf8')).toBe('kept\n');
  });

  test('with mount points missing and read-only: the host directory stays as it is', async () => {
    const rootfs = join(directory, 'bare');
    mkdirSync(rootfs);
    for (const link of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${link}`, join(rootfs, link));
    writeFileSync(join(rootfs, 'kept'), 'kept');
    const before = fingerprint(rootfs);
    const script = 'cat /kept; echo; ls /; echo x > /x || ls /proc/self/fd | head -1';
    expect(await output(script, { rootfs, mounts })).toMatch(
      /^kept\nbin\ndev\n(etc\n)?kept\nlib\nlib64\nproc\nsys\nusr\n.*Read-only file system\n0\n$/,
    );
    expect(fingerprint(rootfs)).toEqual(before);
  });

  test('with mount points missing and writable: a typed error, and nothing is made', async () => {
    const rootfs = makeRoot('bare');
    const before = fingerprint(rootfs);
    const missing = [...mounts, { destination: '/not/there', type: 'tmpfs' }];
    expect(await refusal({ rootfs, readonly: false, mounts: missing })).toMatchObject({
      name: 'NotFoundError',
      code: 'ERR_MOUNT_POINT_MISSING',
      path: '/not/there',
    });
    expect(fingerprint(rootfs)).toEqual(before);
  });

  test('that is not there, or no directory, is a typed error', async () => {
    for (const rootfs of [join(directory, 'none'), join(outside, 'sentinel')])
      expect(await refusal({ rootfs })).toMatchObject({ code: 'ERR_SOURCE_NOT_FOUND' });
    const alias = join(directory, 'alias');
    symlinkSync('/', alias);
    expect(await refusal({ rootfs: alias })).toMatchObject({ code: 'ERR_DANGEROUS_SOURCE' });
  });

  test('/dev has our devices, whatever the root has', async () => {
    const rootfs = makeRoot('devices');
    writeFileSync(join(rootfs, 'dev/null'), 'not null');
    writeFileSync(join(rootfs, 'dev/secret'), 'x');
    expect(
      await sh('stat -c %t:%T /dev/null; ls /dev/secret 2>&1 || true', { rootfs, mounts }),
    ).toMatch(/^1:3\n.*No such file/);
    expect(readFileSync(join(rootfs, 'dev/null'), 'utf8')).toBe('not null');
  });
});

suite('a hostile root', [linux, cgroups], () => {
  const links: [string, string][] = [
    ...['proc', 'sys', 'dev', 'etc'].flatMap((name): [string, string][] => [
      [name, 'OUTSIDE'],
      [name, '../outside'],
      [name, '../../../../../../..'],
      [name, 'tmp'],
      [name, '/'],
      [name, name],
    ]),
    ['tmp', 'OUTSIDE'],
    ['mnt', '../outside'],
  ];

  test.each(links)('%s -> %s does no harm', async (name, target) => {
    const rootfs = makeRoot('hostile', { [name]: target.replace('OUTSIDE', outside) });
    const [rootBefore, before] = [rootfs, outside].map(fingerprint);
    const host = hostMounts();
    for (const options of [{}, { readonly: false }, { rootfs: { lower: [rootfs] } }]) {
      const all = { rootfs, mounts, ...options };
      const result = await sh('cat /proc/self/comm; stat -c %t:%T /dev/null', all).catch(
        (error) => error.code,
      );
      if (['proc', 'sys', 'dev'].includes(name))
        expect(result).toMatch(/^ERR_(UNSAFE_PATH|MOUNT_POINT_MISSING)$/);
      else expect(result).toMatch(/^(cat\n1:3\n|ERR_UNSAFE_PATH|ERR_MOUNT_POINT_MISSING)$/);
      expect(hostMounts()).toEqual(host);
    }
    expect(fingerprint(outside)).toEqual(before);
    expect(fingerprint(rootfs)).toEqual(rootBefore);
  });

  test('a destination behind a link stays in the root', async () => {
    const rootfs = makeRoot('hostile', { mnt: '../outside' });
    mkdirSync(join(rootfs, 'outside'));
    const all = [...mounts, { destination: '/mnt', type: 'tmpfs' }];
    expect(await sh('echo x > /outside/x; ls /mnt', { rootfs, mounts: all })).toBe('x\n');
    expect(readdirSync(outside)).toEqual(['sentinel']);
  });

  test('masks do not touch what a link leads to', async () => {
    const rootfs = makeRoot('hostile');
    symlinkSync(`../../outside/sentinel`, join(rootfs, 'data/link'));
    symlinkSync('/data/real', join(rootfs, 'data/inside'));
    writeFileSync(join(rootfs, 'data/real'), 'real');
    const maskedPaths = ['/data/link', '/data/inside', '/data/none/x'];
    const out = await output('cat /data/real; cat /data/link', { rootfs, mounts, maskedPaths });
    expect(out).toMatch(/^cat: .*data\/link: No such file/);
    expect(readFileSync(join(outside, 'sentinel'), 'utf8')).toBe('sentinel');
  });

  test('the working directory and the program are those of the root', async () => {
    const rootfs = makeRoot('hostile', { work: outside });
    expect(await refusal({ rootfs, mounts, cwd: '/work' })).toMatchObject({ code: 'ERR_CWD' });
    for (const cwd of ['/proc/self/fd/3', '/proc/self/fd/7', '/proc/1/cwd', '/proc/self/root/x'])
      expect(await refusal({ rootfs, mounts, cwd })).toMatchObject({ code: 'ERR_CWD' });
    expect(await refusal({ rootfs, mounts, cwd: '/data/../..' })).toMatchObject({ option: 'cwd' });
    copyFileSync('/bin/true', join(outside, 'evil'));
    expect(await refusal({ rootfs, mounts }, '/work/evil')).toMatchObject({ phase: 'exec' });
  });
});

suite('a directory as root, made by root', [linux, cgroups, root, command('mknod')], () => {
  test('owners look right, and set-id programs and devices have no power', async () => {
    const rootfs = makeRoot('owners');
    writeFileSync(join(rootfs, 'data/mine'), '', { mode: 0o600 });
    writeFileSync(join(rootfs, 'data/theirs'), '', { mode: 0o600 });
    chownSync(join(rootfs, 'data/theirs'), 1000, 1000);
    copyFileSync('/usr/bin/id', join(rootfs, 'data/id'));
    chmodSync(join(rootfs, 'data/id'), 0o6755);
    execFileSync('mknod', [join(rootfs, 'data/zero'), 'c', '1', '5']);
    chmodSync(join(rootfs, 'data/zero'), 0o666);
    const options = { rootfs, mounts, readonly: false, noNewPrivileges: false };
    expect(await sh('cd /data; stat -c "%n %u:%g %a" mine theirs', options)).toBe(
      'mine 0:0 600\ntheirs 1000:1000 600\n',
    );
    expect(await sh('/data/id -u; /data/id -g', { ...options, uid: 1000, gid: 1000 })).toBe(
      '1000\n1000\n',
    );
    expect(await output('head -c 1 /data/zero; : < /data/zero', options)).toMatch(
      /head: .*Permission denied\n.*Permission denied/,
    );
    await sh('echo > /data/new', options);
    expect(lstatSync(join(rootfs, 'data/new'))).toMatchObject({ uid: 0, gid: 0 });
  });
});

suite('a root of one static program', [linux, cgroups, staticCompiler], () => {
  test('runs, with nothing but the file itself on disk', async () => {
    const rootfs = join(directory, 'static');
    mkdirSync(rootfs);
    buildProbe(join(rootfs, 'probe'));
    const { stdout, exitCode } = await run('/probe', ['session'], { rootfs });
    expect({ stdout, exitCode }).toEqual({ stdout: '2 2 2\n', exitCode: 0 });
    expect(readdirSync(rootfs)).toEqual(['probe']);
    const { stdout: written } = await run('/probe', ['write', '/probe', 'x'], { rootfs });
    expect(written).toBe('EROFS\n');
    expect(await refusal({ rootfs }, 'sh')).toMatchObject({ code: 'ERR_PROGRAM_NOT_FOUND' });
  });
});
