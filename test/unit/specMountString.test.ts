import { expect, test } from '@jest/globals';
import { mountFromOption, parseMountString } from '../../lib/spec/mountString.js';

const cwd = '/srv/app';

test.each([
  ['./a:/b', '/srv/app/a', '/b', ['rbind', 'nosuid', 'nodev']],
  ['./a:/b:ro', '/srv/app/a', '/b', ['rbind', 'nosuid', 'nodev', 'ro']],
  ['../a:/b/:ro,noexec', '/srv/a', '/b', ['rbind', 'nosuid', 'nodev', 'ro', 'noexec']],
  ['.:/b', '/srv/app', '/b', ['rbind', 'nosuid', 'nodev']],
  ['..:/b', '/srv', '/b', ['rbind', 'nosuid', 'nodev']],
  ['/x//y/../z:/b//c/.', '/x/z', '/b/c', ['rbind', 'nosuid', 'nodev']],
  ['/dev/fuse:/dev/fuse:dev', '/dev/fuse', '/dev/fuse', ['rbind', 'nosuid', 'dev']],
  ['/a:/b:bind,suid', '/a', '/b', ['nodev', 'bind', 'suid']],
])('%s', (text, source, destination, options) => {
  expect(mountFromOption('mounts[0]', text, cwd)).toEqual({
    type: 'bind',
    source,
    destination,
    options,
  });
});

test.each([
  '',
  '/a',
  './a',
  ':',
  '/a:',
  ':/b',
  '/a:/b:',
  '/a:/b:ro:x',
  'data:/b',
  '.hidden:/b',
  '~/a:/b',
])('mount string %p is refused', (text) => {
  expect(() => parseMountString('mounts[3]', text)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION', option: 'mounts[3]' }),
  );
});

test('a bare name, a volume to docker, is answered with the forms that work', () => {
  expect(() => parseMountString('mounts[0]', 'data:/b')).toThrow(
    "mounts[0]: expected a source that begins with '/', './' or '../', got \"data:/b\"",
  );
});

test('OCI binds get the same treatment and keep their fields', () => {
  const uidMappings = [{ containerID: 0, hostID: 1000, size: 1 }];
  const given = { destination: '/b', source: 'a', options: ['bind', 'ro'], uidMappings };
  expect(mountFromOption('mounts[0]', given, cwd)).toEqual({
    destination: '/b',
    type: 'bind',
    source: '/srv/app/a',
    options: ['nosuid', 'nodev', 'bind', 'ro'],
    uidMappings,
  });
  expect(given.source).toBe('a');
});

test('a tmpfs is bounded unless it says how big it may be', () => {
  expect(mountFromOption('m', { destination: '/t', type: 'tmpfs' }, cwd).options).toEqual([
    'nosuid',
    'nodev',
    'size=64m',
    'nr_inodes=16k',
  ]);
  const options = ['size=1g', 'mode=700', 'suid'];
  expect(mountFromOption('m', { destination: '/t', type: 'tmpfs', options }, cwd).options).toEqual([
    'nodev',
    'size=1g',
    'mode=700',
    'suid',
    'nr_inodes=16k',
  ]);
});

test('relative overlay layers are taken from cwd', () => {
  const options = ['lowerdir=a:/b:../c', 'upperdir=./u', 'workdir=w', 'userxattr'];
  const mount = mountFromOption('m', { destination: '/o', type: 'overlay', options }, cwd);
  expect(mount.options).toEqual([
    'lowerdir=/srv/app/a:/b:/srv/c',
    'upperdir=/srv/app/u',
    'workdir=/srv/app/w',
    'userxattr',
  ]);
});

test('other mounts pass as they are', () => {
  const proc = { destination: '/proc', type: 'proc', options: ['subset=pid'] };
  expect(mountFromOption('m', proc, cwd)).toEqual(proc);
});
