import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { checkCommand, checkOptions, checkProgramOptions } from '../../lib/spec/checks.js';
import { extents, machine, maps, refuses } from '../helpers/refusals.js';

const bind = (i: number) => `/a:/m${i}`;

describe('accepted', () => {
  test.each<[unknown]>([
    [{}],
    [{ timeout: undefined, limits: undefined }],
    [{ rootfs: 'host', readonly: true }],
    [{ rootfs: './dir', readonly: false }],
    [{ rootfs: { lower: ['a'], upper: 'u', work: 'w' } }],
    [{ mounts: ['./a:/b:ro', { destination: '/t', type: 'tmpfs', options: ['size=1m'] }] }],
    [{ mounts: [{ destination: '/proc', type: 'proc', options: ['subset=pid'] }] }],
    [{ mounts: Array.from({ length: 1000 }, (_, i) => bind(i)) }],
    [{ hostname: `${'a'.repeat(60)}.b_C` }],
    [{ namespaces: { pid: { pid: 1 }, net: { path: '/run/netns/x' } }, init: true }],
    [{ namespaces: { mount: { pid: 1 } }, mounts: [] }],
    [{ namespaces: { cgroup: { pid: 1 } } }],
    [{ network: 'host', namespaces: { net: 'host' } }],
    [{ network: 'none', namespaces: { net: 'new' } }],
    [maps],
    [{ uidMappings: extents(340), gidMappings: extents(340) }],
    [{ ...maps, user: 'www' }],
    [
      {
        uidMappings: [{ containerID: 0, hostID: 0xfffffffe, size: 1 }],
        gidMappings: maps.gidMappings,
      },
    ],
    [{ idPool: { hostID: 65536, size: 65536 } }],
    [{ namespaces: { time: 'new' }, timeOffsets: { monotonic: -5 } }],
    [{ limits: { memory: '6MiB', swap: 0, cpus: 2, cpuWeight: 10000, pids: 4194304 } }],
    [{ limits: { cpus: 0.01, cpuset: '0-1,3', cpuTime: 1, nofile: 1, fsize: 0 } }],
    [
      {
        limits: {
          io: [
            { device: '8:0', readBps: '1m' },
            { device: '/dev/sda', writeIops: 1 },
          ],
        },
      },
    ],
    [{ limits: 'none', cgroupParent: '/a' }],
    [{ resources: { memory: { limit: 2 ** 30, swap: -1 }, unified: { 'memory.high': '1' } } }],
    [{ capabilities: ['CHOWN', 'CAP_KILL'] }],
    [{ capabilities: { bounding: ['KILL'], permitted: ['CAP_KILL'], effective: ['KILL'] } }],
    [{ seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } }],
    [{ rlimits: { RLIMIT_STACK: 5, RLIMIT_AS: [1, Number.POSITIVE_INFINITY] } }],
    [{ sysctl: { 'net.ipv4.ip_unprivileged_port_start': '0', 'kernel.shmmax': '1' } }],
    [{ sysctl: { 'kernel.sem': '1 2 3 4', 'fs.mqueue.msg_max': '9', 'kernel.msgmni': '1' } }],
    [{ annotations: { 'com.example': 'x' }, oci: (spec: unknown) => spec }],
    [{ cwd: '/a', env: { A: '', 'b.c': 'x=y' }, uid: 4294967294, gid: 0, groups: [1], umask: 511 }],
    [{ user: 'name' }],
    [{ user: '0:0' }],
    [{ oomScoreAdj: -1000 }],
    [{ timeout: 0.5, killSignal: 'SIGINT', forceKillAfterDelay: false, reject: true }],
    [{ timeout: 2147483647, killSignal: 64, signal: new AbortController().signal }],
    [{ input: 'a\0b', maxBuffer: '1m', maxBufferAction: 'error', encoding: 'buffer' }],
    [{ input: new Uint8Array(1), stdio: ['pipe', 'inherit', 2], encoding: 'latin1' }],
    [{ input: new PassThrough() }],
    [{ stdio: [new PassThrough(), new PassThrough(), 'ignore'] }],
    [{ pty: { cols: 80, rows: 24 }, stdio: 'pipe' }],
    [{ pty: { cols: 80, rows: 24 }, stdio: 'inherit' }],
    [{ pty: { cols: 80, rows: 24 }, stdio: ['ignore', 'inherit', 'inherit'] }],
  ])('case %#', (options) => {
    expect(() => checkOptions(options, machine)).not.toThrow();
  });
});

describe('spelling', () => {
  refuses([
    [{ timout: 5 }, 'timout', "perhaps 'timeout'"],
    [{ ENV: {} }, 'ENV', "perhaps 'env'"],
    [{ limits: { memroy: 5 } }, 'limits.memroy', "perhaps 'limits.memory'"],
    [{ namespaces: { network: 'new' } }, 'namespaces.network', 'an option that exists'],
    [{ pty: { cols: 1, row: 1 } }, 'pty.row', "perhaps 'pty.rows'"],
    [{ rootfs: { lowr: ['a'] } }, 'rootfs.lowr', "perhaps 'rootfs.lower'"],
    [{ mounts: [{ dest: '/a' }] }, 'mounts[0].dest', 'an option that exists'],
    [{ resources: { memory: { limits: 1 } } }, 'resources.memory.limits', 'memory.limit'],
    [{ capabilities: ['CAP_KILLL'] }, 'capabilities[0]', "perhaps 'CAP_KILL'"],
    [{ rlimits: { RLIMIT_NOFILES: 1 } }, 'rlimits.RLIMIT_NOFILES', "perhaps 'RLIMIT_NOFILE'"],
    [{ rlimits: { nofile: 1 } }, 'rlimits.nofile', 'a known name'],
    [{ seccomp: 'unconfned' }, 'seccomp', "perhaps 'unconfined'"],
    [{ network: 'hots' }, 'network', "one of 'none', 'host', perhaps 'host'"],
    [{ killSignal: 'SIGTREM' }, 'killSignal', "perhaps 'SIGTERM'"],
    [{ mounts: ['/a:/b:or'] }, 'mounts[0].options[0]', "perhaps 'ro'"],
    [JSON.parse('{"__proto__": {"rootfs": "/"}}'), '__proto__', 'an option that exists'],
    [{ constructor: 1 }, 'constructor', 'an option that exists'],
    [{ 'a b': 1 }, '["a b"]', 'an option that exists'],
  ]);
});

describe('types', () => {
  refuses([
    [undefined, 'options', 'an object'],
    [null, 'options', 'an object'],
    [[], 'options', 'an object'],
    ['host', 'options', 'an object'],
    [{ env: null }, 'env', 'an object'],
    [{ env: ['A=1'] }, 'env', 'an object'],
    [{ env: { A: 1 } }, 'env.A', 'a string, not number'],
    [{ mounts: '/a:/b' }, 'mounts', 'an array'],
    [{ mounts: new Array(1) }, 'mounts[0]', 'an object'],
    [{ rootfs: 5 }, 'rootfs', "'host', a directory or an overlay"],
    [{ rootfs: '' }, 'rootfs', 'a path'],
    [{ rootfs: '/' }, 'rootfs', "'host'"],
    [{ rootfs: '//./' }, 'rootfs', "'host'"],
    [{ rootfs: { lower: [] } }, 'rootfs.lower', '1 to 500'],
    [{ rootfs: {} }, 'rootfs.lower', 'a value'],
    [{ readonly: 'yes' }, 'readonly', 'true or false'],
    [{ oci: {} }, 'oci', 'a function'],
    [{ namespaces: { pid: {} } }, 'namespaces.pid', 'a path or a pid'],
    [{ namespaces: { pid: { pid: 1, path: '/a' } } }, 'namespaces.pid', 'a path or a pid'],
    [{ namespaces: { pid: { pid: 0 } } }, 'namespaces.pid.pid', 'an integer'],
    [{ namespaces: { pid: { path: 'ns' } } }, 'namespaces.pid.path', 'an absolute path'],
    [{ limits: 'no' }, 'limits', "an object or 'none'"],
    [{ capabilities: 'all' }, 'capabilities', "'image'"],
    [{ seccomp: [] }, 'seccomp', "'default'"],
    [{ rlimits: { RLIMIT_AS: [1] } }, 'rlimits.RLIMIT_AS', '[soft, hard]'],
    [{ rlimits: { RLIMIT_AS: '1' } }, 'rlimits.RLIMIT_AS', 'an integer'],
    [{ uid: '0' }, 'uid', 'an integer'],
    [{ uid: 0n }, 'uid', 'an integer'],
    [{ signal: {} }, 'signal', 'an AbortSignal'],
    [{ input: 5 }, 'input', 'a Uint8Array'],
    [{ stdio: ['pipe', 'pipe'] }, 'stdio', 'three choices'],
    [{ stdio: ['pipe', {}, 'pipe'] }, 'stdio[1]', 'a Writable'],
    [{ stdio: 'pipes' }, 'stdio', "perhaps 'pipe'"],
    [{ stdio: [-1, 1, 2] }, 'stdio[0]', 'an integer'],
    [{ encoding: 'utf-9' }, 'encoding', "one of Node's encodings"],
    [{ pty: { cols: 0, rows: 1 } }, 'pty.cols', 'an integer from 1 to 65535'],
    [{ pty: { cols: 1 } }, 'pty.rows', 'a value'],
    [{ pty: true }, 'pty', 'an object'],
  ]);
});

describe('bytes that the kernel would cut or cannot have', () => {
  refuses([
    [{ hostname: 'a\0b' }, 'hostname', 'without NUL'],
    [{ cwd: '/a\0' }, 'cwd', 'without NUL'],
    [{ rootfs: 'a\0' }, 'rootfs', 'without NUL'],
    [{ env: { A: 'x\0' } }, 'env.A', 'without NUL'],
    [{ env: { 'A\0': 'x' } }, 'env["A\\u0000"]', 'without NUL'],
    [{ env: { A: '\ud800' } }, 'env.A', 'without lone surrogates'],
    [{ mounts: ['/a\0:/b'] }, 'mounts[0]', 'without NUL'],
    [
      { mounts: [{ destination: '/b\udc00', type: 'tmpfs' }] },
      'mounts[0].destination',
      'surrogates',
    ],
    [
      { mounts: [{ destination: '/b', type: 'tmpfs', options: ['a\0'] }] },
      'mounts[0].options[0]',
      'NUL',
    ],
    [{ user: 'a\0' }, 'user', 'without NUL'],
    [{ sysctl: { 'net.a': '1\0' } }, 'sysctl["net.a"]', 'without NUL'],
    [{ annotations: { a: '\0' } }, 'annotations.a', 'without NUL'],
    [{ cgroupParent: '/a\0' }, 'cgroupParent', 'without NUL'],
    [{ maskedPaths: ['/\0'] }, 'maskedPaths[0]', 'without NUL'],
    [{ apparmorProfile: '\0' }, 'apparmorProfile', 'without NUL'],
  ]);

  test('a value of the environment is never shown', () => {
    expect(() => checkOptions({ env: { TOKEN: 's3cret\0' } }, machine)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('s3cret') }),
    );
  });
});

describe('ranges', () => {
  refuses([
    [{ uid: -1 }, 'uid', 'from 0 to 4294967294'],
    [{ uid: 4294967295 }, 'uid', 'from 0 to 4294967294'],
    [{ gid: 1.5 }, 'gid', 'an integer'],
    [{ groups: [4294967295] }, 'groups[0]', 'an integer'],
    [{ user: '4294967295' }, 'user', 'ids from 0'],
    [{ user: '' }, 'user', "'name'"],
    [{ user: 'a:b:c' }, 'user', "'name'"],
    [{ user: 'a\nb' }, 'user', "'name'"],
    [{ umask: 0o1000 }, 'umask', 'from 0 to 511'],
    [{ oomScoreAdj: 1001 }, 'oomScoreAdj', 'from -1000 to 1000'],
    [{ hostname: 'a'.repeat(65) }, 'hostname', 'at most 64 bytes'],
    [{ hostname: '' }, 'hostname', 'letters'],
    [{ hostname: 'a b' }, 'hostname', 'letters'],
    [{ hostname: 'ä' }, 'hostname', 'letters'],
    [{ hostname: 'a\n' }, 'hostname', 'letters'],
    [{ cwd: 'a' }, 'cwd', 'an absolute path'],
    [{ cwd: '/a/../b' }, 'cwd', "without '..'"],
    [{ cwd: `/${'a'.repeat(4095)}` }, 'cwd', 'at most 4095 bytes'],
    [{ env: { '': 'x' } }, 'env[""]', "a name without '='"],
    [{ env: { 'A=B': 'x' } }, 'env["A=B"]', "a name without '='"],
    [{ limits: { memory: 6 * 2 ** 20 - 1 } }, 'limits.memory', 'at least 6291456 bytes'],
    [{ limits: { memory: '512' } }, 'limits.memory', 'at least 6291456 bytes'],
    [{ limits: { memory: 'lots' } }, 'limits.memory', 'bytes'],
    [{ limits: { cpus: 0 } }, 'limits.cpus', 'at least 0.01'],
    [{ limits: { cpus: Number.NaN } }, 'limits.cpus', 'at least 0.01'],
    [{ limits: { cpus: 2.5 } }, 'limits.cpus', 'at most 2'],
    [{ limits: { cpuWeight: 0 } }, 'limits.cpuWeight', 'from 1 to 10000'],
    [{ limits: { cpuset: '3-1' } }, 'limits.cpuset', "'0-1,3'"],
    [{ limits: { cpuset: '0,' } }, 'limits.cpuset', "'0-1,3'"],
    [{ limits: { cpuset: '' } }, 'limits.cpuset', "'0-1,3'"],
    [{ limits: { pids: 0 } }, 'limits.pids', 'from 1 to 4194304'],
    [{ limits: { pids: 4194305 } }, 'limits.pids', 'from 1 to 4194304'],
    [{ limits: { cpuTime: 0 } }, 'limits.cpuTime', 'an integer from 1'],
    [{ limits: { nofile: 0 } }, 'limits.nofile', 'an integer from 1'],
    [{ limits: { io: [{ device: '/dev/sda' }] } }, 'limits.io[0]', 'at least one'],
    [{ limits: { io: [{ device: 'sda', readBps: 1 }] } }, 'limits.io[0].device', 'major:minor'],
    [{ limits: { io: [{ device: '8:0', readBps: 0 }] } }, 'limits.io[0].readBps', 'at least 1'],
    [{ resources: { memory: { limit: -1 } } }, 'resources.memory.limit', '6291456'],
    [{ resources: { pids: { limit: -1 } } }, 'resources.pids.limit', 'from 1'],
    [{ resources: { cpu: { period: 1 } } }, 'resources.cpu.period', 'from 1000'],
    [{ resources: { unified: { '../x': '1' } } }, 'resources.unified["../x"]', 'cgroup v2 file'],
    [
      { resources: { unified: { 'cgroup.procs': '1' } } },
      'resources.unified["cgroup.procs"]',
      'controller',
    ],
    [
      { resources: { unified: { 'memory.max': 'max' } } },
      'resources.unified["memory.max"]',
      'memory.limit',
    ],
    [{ rlimits: { RLIMIT_AS: [2, 1] } }, 'rlimits.RLIMIT_AS', 'soft limit of at most'],
    [{ rlimits: { RLIMIT_AS: -1 } }, 'rlimits.RLIMIT_AS', 'an integer from 0'],
    [{ cgroupParent: 'a' }, 'cgroupParent', 'an absolute path'],
    [{ cgroupParent: '/a/../b' }, 'cgroupParent', "without '..'"],
    [
      { annotations: { 'org.ringfort.init': 'false' } },
      'annotations["org.ringfort.init"]',
      'begin',
    ],
    [{ timeout: -1 }, 'timeout', 'ms from 0'],
    [{ timeout: 2 ** 31 }, 'timeout', 'ms from 0'],
    [{ timeout: Number.POSITIVE_INFINITY }, 'timeout', 'ms from 0'],
    [{ timeout: Number.NaN }, 'timeout', 'ms from 0'],
    [{ timeout: '5s' }, 'timeout', 'ms from 0'],
    [{ forceKillAfterDelay: true }, 'forceKillAfterDelay', 'ms from 0'],
    [{ killSignal: 0 }, 'killSignal', 'from 1 to 64'],
    [{ killSignal: 65 }, 'killSignal', 'from 1 to 64'],
    [{ maxBuffer: -1 }, 'maxBuffer', 'bytes'],
    [{ maxBufferAction: 'drop' }, 'maxBufferAction', "'truncate'"],
    [{ timeOffsets: { monotonic: 0.5 } }, 'timeOffsets.monotonic', 'an integer'],
  ]);
});

test('what child_process has and a program here has not is said what to do instead of', () => {
  for (const kind of ['exec', 'spawn'] as const) {
    const options = { shell: false, detached: false };
    expect(() => checkProgramOptions(options, machine, kind)).not.toThrow();
    for (const [option, instead] of Object.entries({
      shell: 'container.shell',
      detached: 'createContainer',
    }))
      expect(() => checkProgramOptions({ [option]: true }, machine, kind)).toThrow(
        expect.objectContaining({ option, message: expect.stringContaining(instead) }),
      );
  }
});

test('an OCI resource that is not carried out is unsupported, not misspelt', () => {
  expect(() => checkOptions({ resources: { rdma: {} } }, machine)).toThrow(
    expect.objectContaining({ code: 'ERR_UNSUPPORTED_SPEC', option: 'resources.rdma' }),
  );
});

describe('commands', () => {
  const long = 'x'.repeat(131071);
  const fifteen = Array.from({ length: 15 }, () => long);

  test.each<[string, unknown[], Record<string, string>]>([
    ['sh', [], {}],
    ['-', ['', '-c'], {}],
    ['--bind', ['ä'.repeat(65535)], {}],
    ['sh', [long], { A: 'x'.repeat(131069) }],
    ['sh', fifteen, { A: 'x'.repeat(100_000) }],
  ])('%.10s is accepted', (file, args, env) => {
    expect(() => checkCommand(file, args, env)).not.toThrow();
  });

  test.each<[unknown, unknown, Record<string, string>, string, string]>([
    [5, [], {}, 'file', 'a string'],
    ['', [], {}, 'file', 'the name of a program'],
    ['a\0b', [], {}, 'file', 'without NUL'],
    ['sh', 'x', {}, 'args', 'an array of strings'],
    ['sh', { timeout: 10 }, {}, 'args', 'an array before the options: (file, [], options)'],
    ['sh', ['a', 5], {}, 'args[1]', 'a string'],
    ['sh', ['a', '\ud800'], {}, 'args[1]', 'without lone surrogates'],
    ['sh', [`${long}x`], {}, 'args[0]', 'at most 131071 bytes'],
    ['sh', ['ä'.repeat(65536)], {}, 'args[0]', 'at most 131071 bytes'],
    ['sh', [], { A: 'x'.repeat(131070) }, 'env.A', 'at most 131071 bytes'],
    ['sh', [...fifteen, long], {}, 'args', 'of at most 2093056 bytes'],
    ['sh', new Array(300_000).fill(''), {}, 'args', 'of at most 2093056 bytes'],
    ['sh', fifteen, { A: 'x'.repeat(131_000) }, 'env', 'of at most 2093056 bytes'],
  ])('is refused', (file, args, env, option, expected) => {
    expect(() => checkCommand(file, args, env)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        option,
        message: expect.stringContaining(expected),
      }),
    );
  });
});

test.each([Number.POSITIVE_INFINITY, Number.NaN])('%p is shown as what it is', (timeout) => {
  const message = `timeout: expected ms from 0 to 2147483647, got ${timeout}`;
  expect(() => checkOptions({ timeout }, machine)).toThrow(message);
});
