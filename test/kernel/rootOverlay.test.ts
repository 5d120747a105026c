import {
  chmodSync,
  lstatSync,
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
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { output, refusal, sh } from '../helpers/containers.js';
import { cgroups, linux, memoryAttributes, root, suite } from '../helpers/needs.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringfort-overlay-'));
  chmodSync(directory, 0o755);
});
afterEach(() => rmSync(directory, { recursive: true }));

const mounts = ['/usr:/usr:ro'];

/** A layer with these files, and the links that make /usr's programs work. */
function layer(name: string, files: Record<string, string> = {}): string {
  const path = join(directory, name);
  mkdirSync(path);
  for (const link of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${link}`, join(path, link));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(path, file, '..'), { recursive: true });
    writeFileSync(join(path, file), text);
  }
  return path;
}

/** What is on disk below a path, change times included. */
function fingerprint(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { mode, uid, nlink, size, ctimeMs } = lstatSync(join(path, name));
      const text = (mode & 0o170000) === 0o100000 ? readFileSync(join(path, name), 'latin1') : '';
      return [name, mode, uid, nlink, size, ctimeMs, text].join(' ');
    });
}

suite('an overlay as root', [linux, cgroups], () => {
  test('forgets what was written, and leaves the layer byte for byte', async () => {
    const lower = layer('lower', { 'data/a': 'a', 'data/b': 'b', 'data/c/d': 'd' });
    const before = fingerprint(lower);
    const options = { rootfs: { lower: [lower] }, mounts };
    const change = `echo new > /data/a; rm /data/b; mv /data/c/d /data/c/e; ln /data/a /data/h
      chmod 600 /data/a; mkdir /data/f; rm -r /data/f; cat /data/a /data/c/e; ls /data`;
    expect(await sh(change, options)).toBe('new\nda\nc\nh\n');
    expect(await sh('ls /data; cat /data/a', options)).toBe('a\nb\nc\na');
    expect(fingerprint(lower)).toEqual(before);
  });

  suite('whose directories go', [memoryAttributes], () => {
    test('forgets that, too', async () => {
      const lower = layer('lower', { 'data/c/d': 'd', 'data/g/h': 'h' });
      const before = fingerprint(lower);
      const options = { rootfs: { lower: [lower] }, mounts };
      const change = 'mv /data/c /data/e; rm -r /data/g; mkdir /data/g; ls /data /data/g';
      expect(await sh(change, options)).toBe('/data:\ne\ng\n\n/data/g:\n');
      expect(await sh('cat /data/c/d /data/g/h', options)).toBe('dh');
      expect(fingerprint(lower)).toEqual(before);
    });
  });

  test('the first layer is on top, and directories are merged', async () => {
    const top = layer('top', { 'data/both': 'top', 'data/one': '1' });
    const middle = layer('middle', { 'data/both': 'middle', 'data/two': '2' });
    const base = layer('base', { 'data/both': 'base', 'data/two': 'hidden', 'data/three': '3' });
    const cat = 'cd /data; for f in *; do echo $f $(cat $f); done';
    expect(await sh(cat, { rootfs: { lower: [top, middle, base] }, mounts })).toBe(
      'both top\none 1\nthree 3\ntwo 2\n',
    );
    expect(await sh(cat, { rootfs: { lower: [base, middle, top] }, mounts })).toBe(
      'both base\none 1\nthree 3\ntwo hidden\n',
    );
  });

  test('can be read-only, with one layer and with two', async () => {
    const one = layer('one', { x: 'x' });
    for (const lower of [[one], [one, layer('two')]]) {
      const options = { rootfs: { lower }, readonly: true, mounts };
      expect(await output('cat /x; echo > /x; mkdir /y', options)).toMatch(
        /^x(.*Read-only file system\n){2}$/,
      );
    }
  });

  test('the layer in memory is full at its size, and of files as well', async () => {
    const options = { rootfs: { lower: [layer('lower')], size: '1MiB' as const }, mounts };
    const fill = 'head -c 900k /dev/zero > /a && echo fits; head -c 900k /dev/zero > /b';
    expect(await output(fill, options)).toMatch(/^fits\n.*No space left on device\n$/);
    const files = 'mkdir /d; i=0; while touch /d/$i; do i=$((i+1)); done; ls /d | wc -l';
    const out = await output(files, options);
    expect(out).toContain('No space left on device');
    expect(Number(out.trim().split('\n').at(-1))).toBeLessThan(1024);
  });

  test('upper and work come together, and must be there', async () => {
    const lower = [layer('lower')];
    const upper = join(directory, 'upper');
    expect(await refusal({ rootfs: { lower, upper } as never })).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      option: 'rootfs',
    });
    expect(await refusal({ rootfs: { lower, work: upper } as never })).toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
    expect(await refusal({ rootfs: { lower: [] } })).toMatchObject({ option: 'rootfs.lower' });
    expect(await refusal({ rootfs: { lower, upper, work: upper } })).toMatchObject({
      phase: expect.stringMatching(/options|mount/),
    });
    expect(await refusal({ rootfs: { lower: [join(directory, 'no')] } })).toMatchObject({
      code: 'ERR_SOURCE_NOT_FOUND',
      option: 'rootfs.lower[0]',
    });
  });

  test('a layer with a link in the place of /proc is refused', async () => {
    const lower = layer('lower');
    symlinkSync('tmp', join(lower, 'proc'));
    mkdirSync(join(lower, 'tmp'));
    expect(await refusal({ rootfs: { lower: [lower] }, mounts })).toMatchObject({
      code: 'ERR_UNSAFE_PATH',
      path: '/proc',
    });
  });
});

suite('an overlay with a kept layer', [linux, cgroups, root], () => {
  test('remembers writes, deletions and owners from one run to the next', async () => {
    const lower = layer('lower', { 'data/a': 'a', 'data/b': 'b', 'data/dir/x': 'x' });
    const before = fingerprint(lower);
    const [upper, work] = [join(directory, 'upper'), join(directory, 'work')];
    for (const each of [upper, work]) mkdirSync(each);
    const options = { rootfs: { lower: [lower], upper, work }, mounts };
    await sh('echo new > /data/new; rm /data/a; rm -r /data/dir; mkdir /data/dir', options);
    await sh('echo mine > /data/mine; chown 1000 /data/mine', {
      ...options,
      capabilities: ['CAP_CHOWN'],
    });
    expect(await sh('ls /data /data/dir; stat -c %u /data/new /data/mine', options)).toBe(
      '/data:\nb\ndir\nmine\nnew\n\n/data/dir:\n0\n1000\n',
    );
    expect(statSync(join(upper, 'data/new')).uid).toBe(0);
    expect(statSync(join(upper, 'data/mine')).uid).toBe(1000);
    expect(fingerprint(lower)).toEqual(before);
    // The same lower layer by itself has seen nothing of it.
    expect(await sh('ls /data', { rootfs: { lower: [lower] }, mounts })).toBe('a\nb\ndir\n');
  });
});
