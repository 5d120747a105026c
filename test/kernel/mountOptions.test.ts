import { execFileSync } from 'node:child_process';
import {
  existsSync,
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
import { during, output, refusal, sh } from '../helpers/containers.js';
import { testMount } from '../helpers/leaks.js';
import { cgroups, command, linux, root, suite } from '../helpers/needs.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringfort-mounts-'));
  writeFileSync(join(directory, 'file'), 'text');
});
afterEach(() => rmSync(directory, { recursive: true }));

suite('mounts', [linux, cgroups], () => {
  test("'source:destination', relative to Node's cwd, writable unless it says ro", async () => {
    const cwd = process.cwd();
    process.chdir(directory);
    try {
      await sh('cat /mnt/file; echo new > /mnt/new', { mounts: ['.:/mnt'] });
      mkdirSync('sub');
      expect(
        await output('ls /a; echo > /a/x; cat /b', { mounts: ['./sub:/a:ro', './file:/b'] }),
      ).toMatch(/^.*Read-only file system\ntext$/);
      expect(await refusal({ mounts: ['sub:/a'] })).toMatchObject({ option: 'mounts[0]' });
    } finally {
      process.chdir(cwd);
    }
    expect(readFileSync(join(directory, 'new'), 'utf8')).toBe('new\n');
  });

  test('a file on a file, in both forms', async () => {
    const bind = { destination: '/etc/deep/er/name', type: 'bind', source: `${directory}/file` };
    const mounts = [bind, `${directory}/file:/tmp/f:ro`];
    const script = 'cat /etc/deep/er/name /tmp/f; echo more >> /etc/deep/er/name; echo > /tmp/f';
    expect(await output(script, { mounts })).toMatch(/^texttext.*Read-only file system\n$/);
    expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('textmore\n');
  });

  test('nested destinations are mounted in their order', async () => {
    for (const name of ['outer', 'inner', 'outer/in']) mkdirSync(join(directory, name));
    writeFileSync(join(directory, 'inner/x'), 'inner');
    const [outer, inner] = [`${directory}/outer:/mnt`, `${directory}/inner:/mnt/in:ro`];
    expect(await sh('cat /mnt/in/x; touch /mnt/y', { mounts: [outer, inner] })).toBe('inner');
    expect(await sh('ls /mnt/in', { mounts: [inner, outer] })).toBe('');
    const missing = `${directory}/inner:/mnt/nowhere`;
    expect(await refusal({ mounts: [outer, missing] })).toMatchObject({
      code: 'ERR_MOUNT_POINT_MISSING',
      path: '/mnt/nowhere',
    });
    expect(readdirSync(join(directory, 'outer')).sort()).toEqual(['in', 'y']);
  });

  test('a mount point is made on our own file system only', async () => {
    const mounts = [`${directory}:/srv/new/place`, `${directory}:/tmp/a/b`];
    expect(await sh('ls /srv/new/place /tmp/a/b', { mounts })).toMatch(/file\n[\s\S]*file\n/);
    expect(existsSync('/srv/new')).toBe(false);
    expect(existsSync('/tmp/a/b')).toBe(false);
    const inHost = [`${directory}:/usr/ringfort-none`];
    expect(await refusal({ mounts: inHost })).toMatchObject({ code: 'ERR_MOUNT_POINT_MISSING' });
    expect(existsSync('/usr/ringfort-none')).toBe(false);
  });

  test('tmpfs with size, mode and inodes', async () => {
    const options = ['size=64k', 'nr_inodes=8', 'mode=1750', 'noexec'];
    const mounts = [{ destination: '/mnt', type: 'tmpfs', options }];
    const script = `stat -c %a /mnt; head -c 100k /dev/zero > /mnt/big; rm /mnt/big
      for i in 1 2 3 4 5 6 7 8 9; do : > /mnt/$i; done 2>&1 | grep -c "No space"
      cp /bin/true /tmp/t; /tmp/t && echo ran; rm /mnt/*; echo : > /mnt/s; chmod 755 /mnt/s; /mnt/s`;
    expect(await output(script, { mounts })).toMatch(
      /^1750\nhead: .*No space left on device\n[1-9]\nran\n.*\/mnt\/s: Permission denied\n$/,
    );
    const plain = [{ destination: '/mnt', type: 'tmpfs' }];
    expect(await sh('df -k --output=size,itotal /mnt | tail -1', { mounts: plain })).toMatch(
      /^ *65536 +16384\n$/,
    );
    for (const word of ['size=0', 'nr_inodes=0', 'size=-1', 'context=x', 'shared'])
      expect(
        await refusal({ mounts: [{ destination: '/mnt', type: 'tmpfs', options: [word] }] }),
      ).toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });

  test("the kernel's own file systems show the container", async () => {
    const of = (type: string, options: string[] = []) => ({ destination: '/mnt', type, options });
    expect(await sh('ls /mnt/class/net', { mounts: [of('sysfs')] })).toBe('lo\n');
    expect(await sh('ls /mnt', { mounts: [of('mqueue')] })).toBe('');
    expect(await sh('ls /mnt', { mounts: [of('devpts', ['newinstance'])] })).toBe('ptmx\n');
    const cgroup = await sh('cat /proc/self/cgroup; ls /mnt; mkdir /mnt/x 2>&1 || true', {
      mounts: [of('cgroup2')],
    });
    expect(cgroup).toMatch(/^0::\/$/m);
    expect(cgroup).toContain('cgroup.procs');
    expect(cgroup).toMatch(/Read-only file system|Permission denied/);
    const proc = { destination: '/proc', type: 'proc', options: ['subset=pid'] };
    expect(await output('ls -d /proc/2 /proc/uptime', { mounts: [proc] })).toMatch(
      /uptime.*No such file.*\n\/proc\/2\n$/,
    );
  });

  test('an overlay at a mount point, read-only and writable', async () => {
    for (const name of ['top', 'base', 'upper', 'work']) mkdirSync(join(directory, name));
    writeFileSync(join(directory, 'top/both'), 'top');
    writeFileSync(join(directory, 'base/both'), 'base');
    writeFileSync(join(directory, 'base/only'), 'base');
    const lowerdir = `lowerdir=${directory}/top:${directory}/base`;
    const overlay = (...options: string[]) => [{ destination: '/mnt', type: 'overlay', options }];
    expect(
      await output('cat /mnt/both /mnt/only; echo > /mnt/x', { mounts: overlay(lowerdir) }),
    ).toMatch(/^topbase.*Read-only file system\n$/);
    const writable = overlay(lowerdir, `upperdir=${directory}/upper`, `workdir=${directory}/work`);
    await sh('echo new > /mnt/new; rm /mnt/only', { mounts: writable });
    expect(await sh('ls /mnt', { mounts: writable })).toBe('both\nnew\n');
    expect(readdirSync(join(directory, 'base')).sort()).toEqual(['both', 'only']);
  });

  test('what hands the host over is refused, by whatever name', async () => {
    symlinkSync('/', join(directory, 'root'));
    symlinkSync('/proc', join(directory, 'process'));
    const sources = [
      '/',
      '/proc',
      '/sys',
      '/dev',
      '/run',
      '/etc',
      '/root',
      '/var',
      '//',
      '/usr/..',
    ];
    const aliases = ['root', 'process', 'root/etc', 'root/../root/proc'];
    for (const source of [...sources, ...aliases.map((name) => `${directory}/${name}`)])
      for (const suffix of ['', ':ro'])
        expect(await refusal({ mounts: [`${source}:/mnt${suffix}`] })).toMatchObject({
          code: 'ERR_DANGEROUS_SOURCE',
          option: expect.stringContaining('mounts['),
        });
    expect(await refusal({ mounts: ['/usr:/mnt'] })).toMatchObject({
      code: 'ERR_DANGEROUS_SOURCE',
    });
    expect(await sh('ls /mnt/bin/sh', { mounts: ['/usr:/mnt:ro'] })).toBe('/mnt/bin/sh\n');
    expect(await sh('ls -d /mnt/passwd', { mounts: ['/etc:/mnt:ro,dangerous'] })).toContain('/mnt');
    for (const destination of ['/proc/self', '/proc/sys/kernel', '/', '/proc'])
      expect(await refusal({ mounts: [`${directory}:${destination}`] })).toMatchObject({
        code: 'ERR_INVALID_OPTION',
      });
  });

  test('a source that is not there, or is a link, is what it leads to', async () => {
    expect(await refusal({ mounts: [`${directory}/none:/mnt`] })).toMatchObject({
      code: 'ERR_SOURCE_NOT_FOUND',
      path: `${directory}/none`,
    });
    symlinkSync('file', join(directory, 'link'));
    expect(await sh('cat /mnt', { mounts: [`${directory}/link:/mnt`] })).toBe('text');
  });

  test('a bind gives no set-id programs and no devices, unless it says so', async () => {
    const options = await sh('grep " /mnt " /proc/self/mountinfo', {
      mounts: [`${directory}:/mnt`],
    });
    expect(options.split(' ')[5]).toMatch(/^rw,nosuid,nodev/);
    expect(options).not.toMatch(/shared:|master:/);
    const given = ['suid', 'dev', 'noexec', 'ro'];
    const bind = { destination: '/mnt', type: 'bind', source: directory, options: given };
    const [, , , , , words] = (
      await sh('grep " /mnt " /proc/self/mountinfo', { mounts: [bind] })
    ).split(' ');
    expect(words).toMatch(/^ro,.*noexec/);
    if (process.getuid?.() === 0) expect(words).not.toMatch(/nosuid|nodev/);
  });
});

suite('mounts below mounts', [linux, cgroups, root, command('mount'), command('umount')], () => {
  const below = () => join(directory, 'below');
  beforeEach(() => {
    mkdirSync(below());
    // For everyone: a tmpfs has owners that the container does not know before Linux 6.3.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=777', testMount, below()]);
    writeFileSync(join(below(), 'x'), 'below');
  });
  afterEach(() => {
    execFileSync('umount', [below()]);
  });

  test('read-only holds for what is mounted below as well', async () => {
    const script = 'cat /mnt/below/x; echo > /mnt/below/y; echo > /mnt/y';
    expect(await output(script, { mounts: [`${directory}:/mnt:ro`] })).toMatch(
      /^below(.*Read-only file system\n){2}$/,
    );
    expect(readdirSync(below())).toEqual(['x']);
    await sh('echo y > /mnt/below/y', { mounts: [`${directory}:/mnt`] });
    expect(readdirSync(below()).sort()).toEqual(['x', 'y']);
  });

  test("'bind' without r leaves it out", async () => {
    const bind = { destination: '/mnt', type: 'bind', source: directory, options: ['bind'] };
    expect(await sh('ls -A /mnt /mnt/below', { mounts: [bind] })).toBe(
      '/mnt:\nbelow\nfile\n\n/mnt/below:\n',
    );
  });

  test('what the host mounts later is not seen, nor the other way round', async () => {
    const later = join(directory, 'later');
    mkdirSync(later);
    await during({ mounts: [`${directory}:/mnt`] }, async (pid) => {
      execFileSync('mount', ['-t', 'tmpfs', testMount, later]);
      try {
        const inside = readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
        expect(inside).toContain(' /mnt/below ');
        expect(inside).not.toContain(' /mnt/later ');
      } finally {
        execFileSync('umount', [later]);
      }
    });
  });
});
