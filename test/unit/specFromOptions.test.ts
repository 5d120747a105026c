import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { weightFromShares } from '../../lib/cgroups/weights.js';
import type { ContainerOptions, ProcessOptions } from '../../lib/options.js';
import { checkOptions } from '../../lib/spec/checks.js';
import { type SpecContext, specFromOptions } from '../../lib/spec/fromOptions.js';
import type { Spec } from '../../lib/spec/types.js';
import { validateSpec } from '../../lib/spec/validate.js';

type Options = ContainerOptions & ProcessOptions;

// Seccomp has tests of its own; here only where the profile goes matters.
const context: SpecContext = {
  cwd: '/srv/app',
  id: 'web-1',
  seccomp: () => ({ defaultAction: 'SCMP_ACT_ERRNO' }),
};

/** Whatever options give must pass both gates: the one before it and the one after. */
function compile(options: Options, more: Partial<SpecContext> = {}): Spec {
  checkOptions(options, { hostCpus: 4 });
  const spec = specFromOptions({ file: 'sh', args: ['-c', 'id'] }, options, {
    ...context,
    ...more,
  });
  validateSpec(spec);
  return spec;
}

const destinations = (spec: Spec) => (spec.mounts ?? []).map(({ destination }) => destination);
const namespaces = (spec: Spec) => spec.linux.namespaces.map(({ type }) => type);
const rlimit = (spec: Spec, type: string) => spec.process?.rlimits?.find((l) => l.type === type);

test('the default spec is the golden one, byte for byte', () => {
  const golden = new URL('../../../test/plans/default-spec.json', import.meta.url);
  expect(`${JSON.stringify(compile({}), null, 2)}\n`).toBe(readFileSync(golden, 'utf8'));
});

test('options that are undefined are options not given', () => {
  const nothing = { env: undefined, limits: undefined, rootfs: undefined, mounts: undefined };
  expect(compile(nothing as unknown as Options)).toEqual(compile({}));
});

test.each<[string, Options, (spec: Spec) => unknown, unknown]>([
  ['args', {}, (s) => s.process?.args, ['sh', '-c', 'id']],
  ['hostname', { hostname: 'db' }, (s) => s.hostname, 'db'],
  ['domainname', { domainname: 'example.org' }, (s) => s.domainname, 'example.org'],
  ['cwd', { cwd: '/tmp' }, (s) => s.process?.cwd, '/tmp'],
  ['cwd of a directory root', { rootfs: './r' }, (s) => s.process?.cwd, '/'],
  ['exact env', { env: { A: '1', B: '' } }, (s) => s.process?.env, ['A=1', 'B=']],
  ['empty env', { env: {} }, (s) => s.process?.env, []],
  ['directory root', { rootfs: './r' }, (s) => s.root, { path: '/srv/app/r', readonly: true }],
  [
    'writable root',
    { rootfs: '/r', readonly: false },
    (s) => s.root,
    { path: '/r', readonly: false },
  ],
  ['oomScoreAdj', { oomScoreAdj: -10 }, (s) => s.process?.oomScoreAdj, -10],
  ['noNewPrivileges', { noNewPrivileges: false }, (s) => s.process?.noNewPrivileges, false],
  ['apparmorProfile', { apparmorProfile: 'p' }, (s) => s.process?.apparmorProfile, 'p'],
  ['selinuxLabel', { selinuxLabel: 'a:b:c' }, (s) => s.process?.selinuxLabel, 'a:b:c'],
  ['umask', { umask: 0o77 }, (s) => s.process?.user.umask, 0o77],
  ['groups', { groups: [5, 6] }, (s) => s.process?.user.additionalGids, [5, 6]],
  ['maskedPaths', { maskedPaths: ['/proc/x'] }, (s) => s.linux.maskedPaths, ['/proc/x']],
  ['no masks', { maskedPaths: [] }, (s) => s.linux.maskedPaths, []],
  ['readonlyPaths', { readonlyPaths: ['/x'] }, (s) => s.linux.readonlyPaths, ['/x']],
  ['sysctl', { sysctl: { 'net.a': '0' } }, (s) => s.linux.sysctl, { 'net.a': '0' }],
  ['unconfined', { seccomp: 'unconfined' }, (s) => s.linux.seccomp, undefined],
  ['annotations', { annotations: { 'a.b': 'c' } }, (s) => s.annotations?.['a.b'], 'c'],
])('%s', (_, options, pick, expected) => {
  expect(pick(compile(options))).toEqual(expected);
});

test.each<[string, Options, string, string | undefined]>([
  ['rootfs host', {}, 'rootfs', 'host'],
  ['rootfs directory', { rootfs: '/r' }, 'rootfs', undefined],
  ['overlay', { rootfs: { lower: ['a', '/b'] } }, 'rootfs', 'overlay'],
  [
    'overlay in memory',
    { rootfs: { lower: ['a', '/b'], size: '1m' } },
    'overlay',
    '{"lower":["/srv/app/a","/b"],"size":1048576}',
  ],
  [
    'overlay by default',
    { rootfs: { lower: ['/b'] } },
    'overlay',
    '{"lower":["/b"],"size":67108864}',
  ],
  [
    'overlay kept',
    { rootfs: { lower: ['/b'], upper: 'u', work: 'w' } },
    'overlay',
    '{"lower":["/b"],"upper":"/srv/app/u","work":"/srv/app/w"}',
  ],
  ['limits none', { limits: 'none' }, 'limits', 'none'],
  ['limits', {}, 'limits', undefined],
  ['cpuTime', { limits: { cpuTime: 1500 } }, 'cpu-time', '1500'],
  ['init', {}, 'init', undefined],
  ['init false', { init: false }, 'init', 'false'],
  ['landlock', {}, 'landlock', 'auto'],
  ['landlock require', { landlock: 'require' }, 'landlock', 'require'],
  ['cgroupParent', { cgroupParent: '/a/b' }, 'cgroup-parent', '/a/b'],
  [
    'idPool',
    { idPool: { hostID: 100000, size: 65536 } },
    'id-pool',
    '{"hostID":100000,"size":65536}',
  ],
  [
    'io by path',
    { limits: { io: [{ device: '/dev/sda', readBps: '1m', writeIops: 5 }] } },
    'io',
    '[{"device":"/dev/sda","readBps":1048576,"writeIops":5}]',
  ],
  ['user', { user: 'www:adm' }, 'user', 'www:adm'],
  ['user of numbers', { user: '5:6' }, 'user', undefined],
  ['user without group', { user: '5' }, 'user', '5'],
  ['uid without gid', { uid: 5 }, 'user', '5'],
  ['uid with gid', { uid: 5, gid: 6 }, 'user', undefined],
  ['gid alone', { gid: 6 }, 'user', undefined],
  ['root', { uid: 0 }, 'user', undefined],
])('annotation of %s', (_, options, name, expected) => {
  expect(compile(options).annotations?.[`org.ringfort.${name}`]).toBe(expected);
});

test('an overlay is writable, and its path is the top layer', () => {
  expect(compile({ rootfs: { lower: ['a', 'b'] } }).root).toEqual({
    path: '/srv/app/a',
    readonly: false,
  });
});

test.each<[Options, number, number, string, string]>([
  [{}, 0, 0, '/root', 'mode=700'],
  [{ uid: 1000, gid: 100 }, 1000, 100, '/home/user', 'uid=1000,mode=700'],
  [{ user: '7:8' }, 7, 8, '/home/user', 'uid=7,mode=700'],
  [{ user: 'root' }, 0, 0, '/root', 'mode=700'],
  [{ user: 'www' }, 0, 0, '/home/user', 'mode=1777'],
])('identity and private home of %p', (options, uid, gid, home, mode) => {
  const spec = compile(options);
  expect(spec.process?.user).toMatchObject({ uid, gid });
  expect(spec.process?.env).toEqual([]);
  expect(spec.process?.cwd).toBe(home);
  const mount = spec.mounts?.find(({ destination }) => destination === home);
  expect(mount?.options?.join()).toBe(`nosuid,nodev,${mode},size=64m,nr_inodes=16k`);
});

test('every kind of namespace choice', () => {
  const spec = compile({
    namespaces: { net: { pid: 42 }, uts: 'host', ipc: { path: '/run/ns/ipc' }, time: 'new' },
    timeOffsets: { monotonic: 1500, boottime: -1 },
  });
  expect(spec.linux.namespaces).toEqual([
    { type: 'user' },
    { type: 'pid' },
    { type: 'mount' },
    { type: 'network', path: '/proc/42/ns/net' },
    { type: 'ipc', path: '/run/ns/ipc' },
    { type: 'cgroup' },
    { type: 'time' },
  ]);
  expect(spec.linux.timeOffsets).toEqual({
    monotonic: { secs: 1, nanosecs: 500_000_000 },
    boottime: { secs: -1, nanosecs: 999_000_000 },
  });
  expect(spec.hostname).toBeUndefined();
});

test.each<[Options, string[]]>([
  [{ network: 'host' }, ['/sys']],
  [{ namespaces: { net: { pid: 1 } } }, ['/sys']],
  [{ namespaces: { ipc: 'host' } }, ['/dev/mqueue']],
  [{ namespaces: { pid: 'host' } }, ['/proc']],
  [{ namespaces: { pid: { pid: 9 } } }, []],
  [{ rootfs: '/r' }, ['/tmp', '/var/tmp', '/run', '/root']],
  [{ mounts: ['./d:/dev'] }, ['/dev/pts', '/dev/shm', '/dev/mqueue']],
])('default mounts that %p does without', (options, absent) => {
  const given = destinations(compile(options));
  expect(destinations(compile({})).filter((path) => !given.includes(path))).toEqual(absent);
});

test('mounts of the options come last, and stand in for a default one', () => {
  const spec = compile({ mounts: ['./a:/data', { destination: '/tmp/', type: 'tmpfs' }] });
  const paths = destinations(spec);
  expect(paths.slice(-2)).toEqual(['/data', '/tmp']);
  expect(paths.filter((path) => path === '/tmp')).toHaveLength(1);
});

test('network host shares nothing else', () => {
  expect(namespaces(compile({ network: 'host' }))).toEqual(
    namespaces(compile({})).filter((type) => type !== 'network'),
  );
});

test('a joined mount namespace brings its own root', () => {
  const spec = compile({ namespaces: { mount: { pid: 7 } } });
  expect(
    spec.root ?? spec.mounts ?? spec.linux.maskedPaths ?? spec.linux.readonlyPaths,
  ).toBeUndefined();
  expect(spec.process?.cwd).toBe('/');
  expect(spec.annotations?.['org.ringfort.rootfs']).toBeUndefined();
});

test('limits in OCI words', () => {
  const { resources } = compile({
    limits: {
      memory: '128MiB',
      swap: '1m',
      cpus: 0.5,
      cpuWeight: 100,
      cpuset: '0-1,3',
      pids: 32,
      io: [{ device: '8:0', readBps: '1m', readIops: 7 }],
    },
  }).linux;
  expect(weightFromShares(resources?.cpu?.shares ?? 0)).toBe(100);
  expect(resources).toEqual({
    memory: { limit: 134217728, swap: 135266304 },
    cpu: { quota: 50000, period: 100000, shares: expect.any(Number), cpus: '0-1,3' },
    pids: { limit: 32 },
    blockIO: {
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1048576 }],
      throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 7 }],
    },
  });
});

test('limits win over resources, resources over defaults', () => {
  const asked = {
    memory: { limit: 2 ** 30, reservation: 5 },
    cpu: { quota: 1000, period: 10000, mems: '0' },
    pids: { limit: 9 },
    blockIO: {
      weight: 20,
      throttleReadBpsDevice: [
        { major: 8, minor: 0, rate: 1 },
        { major: 9, minor: 0, rate: 2 },
      ],
    },
    unified: { 'memory.high': '1000' },
  };
  expect(compile({ resources: asked }).linux.resources).toEqual({
    ...asked,
    memory: { ...asked.memory, swap: 2 ** 30 },
  });
  const limits = { memory: 2 ** 31, cpus: 1, io: [{ device: '8:0', readBps: 3 }] };
  expect(compile({ resources: asked, limits }).linux.resources).toEqual({
    memory: { limit: 2 ** 31, reservation: 5, swap: 2 ** 31 },
    cpu: { quota: 100000, period: 100000, mems: '0' },
    pids: { limit: 9 },
    blockIO: {
      weight: 20,
      throttleReadBpsDevice: [
        { major: 9, minor: 0, rate: 2 },
        { major: 8, minor: 0, rate: 3 },
      ],
    },
    unified: { 'memory.high': '1000' },
  });
});

test('limits none leaves resources out and rlimits in', () => {
  const spec = compile({ limits: 'none' });
  expect(spec.linux.resources).toBeUndefined();
  expect(rlimit(spec, 'RLIMIT_NOFILE')).toEqual({ type: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 });
});

test('a resource limit of `limits` cannot be raised from inside', () => {
  const spec = compile({ limits: { nofile: 100, fsize: '1m' } });
  expect(rlimit(spec, 'RLIMIT_NOFILE')).toMatchObject({ soft: 100, hard: 100 });
  expect(rlimit(spec, 'RLIMIT_FSIZE')).toMatchObject({ soft: 1048576, hard: 1048576 });
});

test('rlimits: one number, two, and without bound', () => {
  const rlimits = {
    RLIMIT_STACK: 8388608,
    RLIMIT_CORE: [0, 5] as [number, number],
    RLIMIT_AS: Number.POSITIVE_INFINITY,
  };
  const spec = compile({ rlimits });
  expect(rlimit(spec, 'RLIMIT_STACK')).toMatchObject({ soft: 8388608, hard: 8388608 });
  expect(rlimit(spec, 'RLIMIT_CORE')).toMatchObject({ soft: 0, hard: 5 });
  const unlimited = JSON.parse('18446744073709551615') as number;
  expect(rlimit(spec, 'RLIMIT_AS')).toMatchObject({ soft: unlimited, hard: unlimited });
  expect(spec.process?.rlimits).toHaveLength(9);
});

test('capabilities: none, the nine, a list, each set', () => {
  const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
  expect(compile({}).process?.capabilities).toEqual(none);
  const image = compile({ capabilities: 'image' }).process?.capabilities;
  expect(image?.bounding).toHaveLength(9);
  expect(image).toMatchObject({ inheritable: [], ambient: [], permitted: image?.bounding });
  const list = ['CAP_CHOWN'];
  expect(compile({ capabilities: ['CHOWN', 'CAP_CHOWN'] }).process?.capabilities).toEqual({
    ...none,
    bounding: list,
    effective: list,
    permitted: list,
  });
  expect(compile({ capabilities: { bounding: ['KILL'] } }).process?.capabilities).toEqual({
    ...none,
    bounding: ['CAP_KILL'],
  });
});

test('the seccomp compiler is told the profile and the capabilities', () => {
  const calls: unknown[] = [];
  const seccomp: SpecContext['seccomp'] = (profile, capabilities) => {
    calls.push([profile, capabilities]);
    return { defaultAction: 'SCMP_ACT_KILL' };
  };
  const profile = { defaultAction: 'SCMP_ACT_LOG', archMap: [] };
  expect(compile({}, { seccomp }).linux.seccomp).toEqual({ defaultAction: 'SCMP_ACT_KILL' });
  compile({ seccomp: profile, capabilities: ['KILL'] }, { seccomp });
  compile({ seccomp: 'unconfined' }, { seccomp });
  expect(calls).toEqual([
    ['default', []],
    [profile, ['CAP_KILL']],
  ]);
});

test('a terminal of the given size', () => {
  expect(compile({}, { interactive: { cols: 80, rows: 24 } }).process).toMatchObject({
    terminal: true,
    consoleSize: { height: 24, width: 80 },
  });
});

test('id maps are taken as they are', () => {
  const map = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const { linux } = compile({ uidMappings: map, gidMappings: map });
  expect(linux).toMatchObject({ uidMappings: map, gidMappings: map });
});

test('a process that is to die before others starts nothing that is to die after it', () => {
  const score = (ownOomScoreAdj: number, options: Options = {}) =>
    compile(options, { ownOomScoreAdj }).process?.oomScoreAdj;
  expect([score(0), score(-900), score(500), score(999)]).toEqual([500, 500, 500, 999]);
  expect(score(999, { oomScoreAdj: 10 })).toBe(10);
});
