import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { checkSources } from '../../lib/host/checkSources.js';
import { hostEntries } from '../../lib/host/hostEntries.js';
import { expandMasks, rootFacts } from '../../lib/host/rootFacts.js';
import { walkInRoot } from '../../lib/host/walk.js';
import type { Spec, SpecMount } from '../../lib/spec/types.js';

let dir = '';

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ringfort-facts-'));
  mkdirSync(join(dir, 'root/etc'), { recursive: true });
  mkdirSync(join(dir, 'root/run'));
  mkdirSync(join(dir, 'root/var'));
  mkdirSync(join(dir, 'top/opt'), { recursive: true });
  writeFileSync(join(dir, 'root/etc/hosts'), '');
  symlinkSync('/run', join(dir, 'root/var/run'));
  symlinkSync('../../../../etc', join(dir, 'root/up'));
  symlinkSync('loop', join(dir, 'root/loop'));
  symlinkSync('/', join(dir, 'alias'));
  symlinkSync('/run', join(dir, 'top/opt/run'));
});

afterAll(() => rmSync(dir, { recursive: true }));

function specWith(mounts: SpecMount[], root = join(dir, 'root')): Spec {
  return {
    ociVersion: '1.2.0',
    root: { path: root },
    mounts,
    linux: { namespaces: [{ type: 'mount' }] },
  };
}

const bind = (source: string, destination: string, ...options: string[]): SpecMount => ({
  type: 'bind',
  source,
  destination,
  options,
});

test('a walk stays inside the root, whatever the links say', () => {
  const walk = (path: string, ...layers: string[]) =>
    walkInRoot(layers.length === 0 ? [join(dir, 'root')] : layers, path);
  expect(walk('/etc/hosts')).toEqual({ exists: true, path: '/etc/hosts' });
  expect(walk('/var/run')).toEqual({ exists: true, path: '/run' });
  expect(walk('/var/run/secrets/a')).toEqual({ exists: false, path: '/run/secrets/a' });
  expect(walk('/up/hosts')).toEqual({ exists: true, path: '/etc/hosts' });
  expect(walk('/../../etc')).toEqual({ exists: true, path: '/etc' });
  expect(walk('/loop/x').exists).toBe(false);
  expect(walk('/opt/run', join(dir, 'top'), join(dir, 'root')).path).toBe('/run');
});

test('places are looked up in the root, in binds, and not where only the kernel knows', () => {
  const spec = specWith([
    { destination: '/proc', type: 'proc' },
    { destination: '/proc/x', type: 'tmpfs' },
    { destination: '/tmp', type: 'tmpfs' },
    { destination: '/tmp/x', type: 'tmpfs' },
    { destination: '/var/run/secrets', type: 'tmpfs' },
    bind(join(dir, 'root'), '/run'),
    bind(join(dir, 'root/etc/hosts'), '/run/etc/hosts'),
    { destination: '/run/none', type: 'tmpfs' },
  ]);
  const { root, fileSources } = rootFacts(spec);
  expect([...(root?.existing ?? [])]).toEqual(['/proc/x', '/run', '/run/etc/hosts']);
  expect(root?.missing?.get('/var/run/secrets')).toBe('/run/secrets');
  expect([...fileSources]).toEqual([join(dir, 'root/etc/hosts')]);
});

test('a source must exist', () => {
  const spec = specWith([bind(join(dir, 'none'), '/mnt')]);
  expect(() => checkSources(spec)).toThrow(
    expect.objectContaining({ code: 'ERR_SOURCE_NOT_FOUND', option: 'mounts[/mnt].source' }),
  );
  // One that has gone since.
  for (const options of [['bind'], ['rbind']])
    expect(() => rootFacts(specWith([bind(join(dir, 'none'), '/mnt', ...options)]))).toThrow(
      expect.objectContaining({ code: 'ERR_SOURCE_NOT_FOUND', path: join(dir, 'none') }),
    );
  expect(() => checkSources(specWith([], join(dir, 'none')))).toThrow(
    expect.objectContaining({ code: 'ERR_SOURCE_NOT_FOUND', option: 'rootfs' }),
  );
  expect(() => checkSources(specWith([], join(dir, 'root/etc/hosts')))).toThrow(
    expect.objectContaining({ code: 'ERR_SOURCE_NOT_FOUND' }),
  );
  expect(() => checkSources(specWith([bind(join(dir, 'root'), '/mnt')]))).not.toThrow();
});

test.each(['/', '/proc', '/sys', '/dev', '/run', '/etc'])('%s is refused by any name', (path) => {
  for (const source of [path, join(dir, 'alias', path), `/proc/self/root${path}`]) {
    const refused = expect.objectContaining({ code: 'ERR_DANGEROUS_SOURCE' });
    expect(() => checkSources(specWith([bind(source, '/mnt', 'ro')]))).toThrow(refused);
    expect(() => checkSources(specWith([bind(source, '/mnt', 'ro', 'dangerous')]))).not.toThrow();
  }
});

test("the host's programs may be shown, but not given to write", () => {
  expect(() => checkSources(specWith([bind('/usr', '/mnt', 'ro')]))).not.toThrow();
  const refused = expect.objectContaining({ code: 'ERR_DANGEROUS_SOURCE' });
  expect(() => checkSources(specWith([bind('/usr', '/mnt')]))).toThrow(refused);
  expect(() => checkSources(specWith([bind('/usr', '/mnt', 'ro', 'rw')]))).toThrow(refused);
});

test('the root as a directory is refused under another name, too', () => {
  expect(() => checkSources(specWith([], join(dir, 'alias')))).toThrow(
    expect.objectContaining({ code: 'ERR_DANGEROUS_SOURCE', option: 'rootfs' }),
  );
});

test('of the host only system directories and the allow-list are shown', () => {
  const entries = hostEntries();
  expect(entries).toContainEqual({ path: '/usr', kind: 'directory' });
  for (const { path } of entries)
    expect(path).toMatch(/^\/(usr|s?bin|lib(32|64|x32)?|etc\/[^/]+)$/);
  const paths = entries.map(({ path }) => path);
  for (const secret of [
    'shadow',
    'gshadow',
    'ssh',
    'sudoers',
    'machine-id',
    'resolv.conf',
    'hosts',
  ])
    expect(paths).not.toContain(`/etc/${secret}`);
});

test('a star in a masked path stands for digits of a name that exists', () => {
  for (const name of ['cpu0', 'cpu12', 'cpufreq', 'cpu'])
    mkdirSync(join(dir, 'sys', name, 'heat'), { recursive: true });
  const expanded = expandMasks([join(dir, 'sys/cpu*/heat'), '/proc/keys', '/none/x*']);
  expect(expanded).toEqual([join(dir, 'sys/cpu0/heat'), join(dir, 'sys/cpu12/heat'), '/proc/keys']);
});

test('what is mounted below a source counts, however the source is written', () => {
  const sources = ['/', join(dir, 'alias'), join(dir, 'root')];
  const { unmappedBelow } = rootFacts(specWith(sources.map((path) => bind(path, '/mnt', 'rbind'))));
  // No kernel maps the owners of /proc.
  expect(unmappedBelow).toEqual(new Set(['/', join(dir, 'alias')]));
});
