import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { dangerousSources } from '../../lib/spec/dangerousSources.js';
import { capabilityNames, rlimitNames } from '../../lib/spec/names.js';
import type { NamespaceType, Spec, SpecNamespace } from '../../lib/spec/types.js';
import { applyOciOption, validateSpec } from '../../lib/spec/validate.js';

const golden = readFileSync(
  new URL('../../../test/plans/default-spec.json', import.meta.url),
  'utf8',
);
const defaults = JSON.parse(golden) as Required<Spec>;

/** Values by dotted field; `undefined` takes the field away. */
type Changes = Record<string, unknown>;

/** The default spec, changed. */
function changed(changes: Changes): unknown {
  const spec = JSON.parse(golden) as Record<string, unknown>;
  for (const [field, value] of Object.entries(changes)) {
    const names = field.split('.');
    const last = names.pop() ?? '';
    const parent = names.reduce((at, name) => at[name] as Record<string, unknown>, spec);
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  }
  return spec;
}

const map = [{ containerID: 0, hostID: 100000, size: 65536 }];
const maps = { 'linux.uidMappings': map, 'linux.gidMappings': map };
const without = (type: NamespaceType, more: SpecNamespace[] = []) => ({
  'linux.namespaces': [...defaults.linux.namespaces.filter((n) => n.type !== type), ...more],
});
const joined = without('mount', [{ type: 'mount', path: '/proc/1/ns/mnt' }]);
const own = (name: string, value: string) => ({
  annotations: { ...defaults.annotations, [`org.ringfort.${name}`]: value },
});
const ownAt = (name: string) => `spec.annotations["org.ringfort.${name}"]`;
const syscall = (argument: object) => ({
  'linux.seccomp.syscalls': [
    { names: ['clone'], action: 'SCMP_ACT_ALLOW', args: [{ op: 'SCMP_CMP_EQ', ...argument }] },
  ],
});
const unlimited = JSON.parse('18446744073709551615') as number;
const rlimit = (soft: number, hard: number) => ({
  'process.rlimits': [{ type: 'RLIMIT_CPU', soft, hard }],
});
const bound = (...names: string[]) => ({ 'process.capabilities': { bounding: names } });

describe('accepted', () => {
  test.each<[string, Changes]>([
    ['the default spec', {}],
    [
      'the least spec',
      {
        ociVersion: '1.0.2-dev',
        mounts: undefined,
        process: undefined,
        hostname: undefined,
        annotations: undefined,
        linux: { namespaces: [{ type: 'mount' }] },
      },
    ],
    ['maps', maps],
    [
      'a user still to be found, outside the maps for now',
      {
        'linux.uidMappings': [{ containerID: 5, hostID: 100000, size: 1 }],
        'linux.gidMappings': [{ containerID: 5, hostID: 100000, size: 1 }],
        ...own('user', 'www'),
      },
    ],
    [
      'a joined mount namespace',
      {
        ...joined,
        root: undefined,
        mounts: undefined,
        annotations: undefined,
        'linux.maskedPaths': undefined,
        'linux.readonlyPaths': [],
      },
    ],
    ['a resource without limit', rlimit(1, unlimited)],
    [
      'a bind by options',
      {
        mounts: [{ destination: '/b', source: '/a', options: ['rbind', 'rprivate', 'ro'] }],
      },
    ],
    [
      'swap and quota without limit',
      {
        'linux.resources': { memory: { limit: 2 ** 30, swap: -1 }, cpu: { quota: -1 } },
      },
    ],
    ['64-bit seccomp arguments', syscall({ index: 0, value: 2n ** 64n - 1n })],
  ])('%s', (_, changes) => {
    expect(() => validateSpec(changed(changes))).not.toThrow();
  });

  test('a field that is undefined', () => {
    expect(() => validateSpec({ ...defaults, hooks: undefined })).not.toThrow();
  });
});

describe('refused', () => {
  test.each<[string, string, Changes]>([
    ['spec.ociVersion', 'a value', { ociVersion: undefined }],
    ['spec.ociVersion', "'1.x.y'", { ociVersion: '2.0.0' }],
    ['spec.linux', 'a value', { linux: undefined }],
    ['spec.linx', "a field that exists, perhaps 'spec.linux'", { linx: {} }],
    ['spec.root', 'a root', { root: undefined }],
    ['spec.root', 'joined', joined],
    ['spec.root.path', 'an absolute path', { 'root.path': 'rootfs' }],
    ['spec.root.readonly', 'true where', { 'root.readonly': false }],
    ['spec.hostname', 'letters', { hostname: 'a\nb' }],
    ['spec.hostname', 'uts namespace is not new', without('uts')],
    ['spec.mounts', '0 to 1024', { mounts: new Array(1025).fill(defaults.mounts[0]) }],
    [
      'spec.mounts[0].source',
      'an absolute path',
      { mounts: [{ destination: '/a', type: 'bind', source: 'a' }] },
    ],
    [
      'spec.mounts[0].destination',
      'outside /proc',
      { mounts: [{ destination: '/proc/1', type: 'tmpfs' }] },
    ],
    [
      'spec.process',
      'at most 2093056',
      {
        'process.args': new Array(10).fill('x'.repeat(131071)),
        'process.env': new Array(10).fill(`A=${'x'.repeat(131069)}`),
      },
    ],
    ['spec.process.args', 'the program at least', { 'process.args': [] }],
    ['spec.process.args[1]', 'without NUL', { 'process.args': ['a', '\0'] }],
    ['spec.process.args[0]', 'at most 131071', { 'process.args': ['x'.repeat(131072)] }],
    ['spec.process.env[0]', "'NAME=value'", { 'process.env': ['A'] }],
    ['spec.process.env[0]', "'NAME=value'", { 'process.env': ['=A'] }],
    ['spec.process.cwd', 'an absolute path', { 'process.cwd': './a' }],
    ['spec.process.user.uid', 'from 0 to 4294967294', { 'process.user.uid': 2 ** 32 - 1 }],
    ['spec.process.user.uid', 'an id within the map', { ...maps, 'process.user.uid': 65536 }],
    ['spec.process.user.gid', 'a value', { 'process.user.gid': undefined }],
    ['spec.process.capabilities.bounding[0]', "perhaps 'CAP_KILL'", bound('CAP_KIL')],
    ['spec.process.capabilities.bounding[0]', 'a known name', bound('KILL')],
    [
      'spec.process.capabilities.effective',
      'a subset of permitted',
      { 'process.capabilities': { effective: ['CAP_KILL'] } },
    ],
    [
      'spec.process.rlimits[1].type',
      'each limit once',
      { 'process.rlimits': new Array(2).fill(defaults.process.rlimits?.[0]) },
    ],
    ['spec.process.rlimits[0].soft', 'at most the hard limit 1', rlimit(2, 1)],
    ['spec.process.rlimits[0].hard', 'an integer', rlimit(1, Number.POSITIVE_INFINITY)],
    [
      'spec.process.consoleSize',
      'nothing without a terminal',
      { 'process.consoleSize': { height: 1, width: 1 } },
    ],
    ['spec.linux', 'together', { 'linux.uidMappings': map }],
    ['spec.linux.namespaces', 'a mount namespace', without('mount')],
    [
      'spec.linux.namespaces[6].type',
      'each type once',
      without('cgroup', [{ type: 'pid', path: '/x' }]),
    ],
    ['spec.linux.namespaces[0].type', "'network'", { 'linux.namespaces': [{ type: 'net' }] }],
    ['spec.linux.uidMappings', 'user namespace is not new', { ...maps, ...without('user') }],
    [
      'spec.linux.uidMappings[0].hostID',
      'other than 0',
      { 'linux.uidMappings': [{ containerID: 0, hostID: 0, size: 1 }] },
    ],
    [
      'spec.linux.timeOffsets',
      'time namespace is not new',
      { 'linux.timeOffsets': { monotonic: { secs: 1 } } },
    ],
    [
      'spec.linux.timeOffsets.boottime.nanosecs',
      '999999999',
      { 'linux.timeOffsets': { boottime: { secs: 1, nanosecs: 1e9 } } },
    ],
    [
      'spec.linux.sysctl["kernel.core_pattern"]',
      'net.*',
      { 'linux.sysctl': { 'kernel.core_pattern': '|/x' } },
    ],
    [
      'spec.linux.sysctl["net.a"]',
      'a new network namespace',
      { 'linux.sysctl': { 'net.a': '1' }, ...without('network') },
    ],
    ['spec.linux.cgroupsPath', "without '..'", { 'linux.cgroupsPath': '/a/../../b' }],
    [
      'spec.linux.resources.memory.swap',
      'not below `limit`',
      { 'linux.resources.memory.swap': 2 ** 28 },
    ],
    ['spec.linux.resources.memory.limit', 'from 6291456', { 'linux.resources.memory.limit': 4096 }],
    [
      'spec.linux.resources.devices[0].access',
      "'rwm'",
      { 'linux.resources.devices': [{ allow: true, access: 'x' }] },
    ],
    ['spec.linux.seccomp.defaultAction', 'a value', { 'linux.seccomp': {} }],
    [
      'spec.linux.seccomp.syscalls[0].args[0].index',
      'from 0 to 5',
      syscall({ index: 6, value: 0 }),
    ],
    [
      'spec.linux.seccomp.syscalls[0].args[0].value',
      '64 bits',
      syscall({ index: 0, value: 2 ** 64 }),
    ],
    ['spec.linux.seccomp.syscalls[0].args[0].value', '64 bits', syscall({ index: 0, value: -1n })],
    ['spec.linux.maskedPaths[0]', 'an absolute path', { 'linux.maskedPaths': ['proc'] }],
    ['spec.linux.resources', 'nothing beside', own('limits', 'none')],
    [ownAt('rootfs'), "'overlay'", own('rootfs', 'hsot')],
    [ownAt('overlay'), 'layers', own('rootfs', 'overlay')],
    [ownAt('overlay'), 'JSON', own('overlay', '{')],
    [`${ownAt('overlay')}.lower[0]`, 'an absolute path', own('overlay', '{"lower":["a"]}')],
    [`${ownAt('id-pool')}.hostID`, 'from 1', own('id-pool', '{"hostID":0,"size":65536}')],
    [
      `${ownAt('io')}[0].readBps`,
      'an integer',
      own('io', '[{"device":"/dev/sda","readBps":"1m"}]'),
    ],
    [ownAt('walls'), "one of ringfort's", own('walls', 'off')],
  ])('%s: %s', (option, expected, changes) => {
    let error: unknown;
    try {
      validateSpec(changed(changes));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      name: 'InvalidSpecError',
      code: 'ERR_INVALID_SPEC',
      phase: 'spec',
      option,
    });
    expect((error as Error).message).toContain(expected);
  });

  test.each([undefined, null, [], 'spec', 5])('%p is no spec', (spec) => {
    expect(() => validateSpec(spec)).toThrow('spec: expected an object');
  });
});

test.each<[string, unknown]>([
  ['hooks', {}],
  ['vm', {}],
  ['process.scheduler', {}],
  ['process.ioPriority', {}],
  ['linux.intelRdt', {}],
  ['linux.personality', {}],
  ['linux.devices', []],
  ['linux.rootfsPropagation', 'shared'],
  ['linux.mountLabel', ''],
  ['linux.seccomp.listenerPath', '/x'],
  ['linux.resources.memory.swappiness', 1],
  ['linux.resources.rdma', {}],
])('%s is unsupported by name', (field, value) => {
  const option = `spec.${field}`;
  expect(() => validateSpec(changed({ [field]: value }))).toThrow(
    expect.objectContaining({
      name: 'UnsupportedError',
      code: 'ERR_UNSUPPORTED_SPEC',
      phase: 'spec',
      option,
      message: `${option}: not carried out by ringfort (leave the field out)`,
    }),
  );
});

describe('the oci option', () => {
  const spec = JSON.parse(golden) as Spec;

  test('works on a copy, and its answer counts', () => {
    const answer = applyOciOption(spec, (copy) => {
      copy.hostname = 'other';
      copy.mounts?.splice(0);
      return copy;
    });
    expect(answer).toMatchObject({ hostname: 'other', mounts: [] });
    expect(JSON.stringify(spec)).toBe(JSON.stringify(JSON.parse(golden)));
  });

  test('is validated', () => {
    expect(() => applyOciOption(spec, (copy) => ({ ...copy, hostname: '' }))).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_SPEC', option: 'spec.hostname' }),
    );
    expect(() => applyOciOption(spec, () => undefined as unknown as Spec)).toThrow('an object');
  });

  test('may throw errors of its own', () => {
    const own = new Error('mine');
    expect(() =>
      applyOciOption(spec, () => {
        throw own;
      }),
    ).toThrow(own);
  });
});

test('dangerous sources are absolute, plain and named once', () => {
  const paths = dangerousSources.map(({ path }) => path);
  expect(new Set(paths).size).toBe(paths.length);
  expect(paths.filter((path) => !/^\/([a-z0-9._-]+(\/[a-z0-9._-]+)*)?$/.test(path))).toEqual([]);
  expect(paths).toEqual(expect.arrayContaining(['/', '/proc', '/sys', '/run', '/run/docker.sock']));
});

test('tables are in the order of the kernel numbers', () => {
  expect(capabilityNames.indexOf('CAP_SYS_ADMIN')).toBe(21);
  expect(capabilityNames.indexOf('CAP_CHECKPOINT_RESTORE')).toBe(40);
  expect(rlimitNames.indexOf('RLIMIT_NOFILE')).toBe(7);
  expect(rlimitNames.indexOf('RLIMIT_RTTIME')).toBe(15);
});
