import { logMagic } from '../../../lib/detached/logFile.js';
import { specOf } from '../../../lib/specOf.js';

function record(time: bigint, stream: number, data: Buffer): Buffer {
  const head = Buffer.alloc(13);
  head.writeBigUInt64LE(time, 0);
  head.writeUInt8(stream, 8);
  head.writeUInt32LE(data.length, 9);
  return Buffer.concat([head, data]);
}

/** A log of a detached container: both streams, something that was lost, and half a record. */
export const logSeed: Buffer = Buffer.concat([
  Buffer.from(Uint32Array.of(logMagic, 1).buffer),
  record(1_700_000_000_000_000_000n, 1, Buffer.from('out\n')),
  record(1_700_000_000_000_000_001n, 2, Buffer.from('err\nmore\n')),
  record(1_700_000_000_000_000_002n, 0, Buffer.from(BigUint64Array.of(99n).buffer)),
  record(1_700_000_000_000_000_003n, 1, Buffer.from('last')),
  record(0n, 1, Buffer.from('cut')).subarray(0, 10),
]);

/** `state.json` of a detached container. */
export const stateSeed: object = {
  version: 1,
  id: 'web',
  createdAt: 1_700_000_000_000,
  labels: { app: 'web' },
  command: ['sleep', '60'],
  bootId: '00000000-0000-0000-0000-000000000000',
  number: 1,
  pid: 100,
  monitorPid: 99,
  spec: specOf('web', 'sleep', ['60'], { seccomp: 'unconfined' }),
  facts: {
    uidMappings: [{ containerID: 0, hostID: 524288, size: 65536 }],
    gidMappings: [{ containerID: 0, hostID: 524288, size: 65536 }],
    denySetgroups: false,
    fileSources: ['/srv/file'],
  },
  serves: true,
  reads: { 3: '/sys/fs/cgroup/web/cpu.stat' },
  isolation: { asked: [], enforced: [], missing: [] },
  cgroup: {
    paths: { unified: '/sys/fs/cgroup/web', v1: {} },
    unshareCgroupNs: false,
    usageFiles: ['/sys/fs/cgroup/web/cpu.stat'],
    enforced: ['memory.limit'],
  },
  cgroups: [{ path: '/sys/fs/cgroup/web', inode: '4711', device: '29' }],
  streams: { stdin: false, stdout: true, stderr: true, pty: false },
  logs: { maxSize: 1048576, maxFiles: 3 },
};

/** Of passwd(5) and group(5). */
export const passwdPieces: readonly string[] = [
  ...[
    'root',
    'app',
    'web',
    'x',
    ':',
    ':',
    ':',
    ':',
    ',',
    '\n',
    '\n',
    '0',
    '33',
    '1000',
    '4294967295',
  ],
  ...[
    '4294967294',
    '00',
    '-1',
    '1e3',
    '0x10',
    '#',
    ' ',
    '\r',
    '\0',
    'web:x:33:app',
    'app:x:1000:1000',
  ],
];

/** Of files that cgroups account in. */
export const accountPieces = {
  files: [
    ...[
      'cpu.stat',
      'cpuacct.usage',
      'memory.current',
      'memory.peak',
      'memory.max',
      'memory.events',
    ],
    ...['memory.oom_control', 'memory.stat', 'pids.current', 'pids.max', 'pids.events', 'io.stat'],
    ...['blkio.throttle.io_service_bytes_recursive', 'memory.limit_in_bytes', 'other'],
  ],
  words: [
    ...[
      'usage_usec 12\n',
      'oom_kill 3\n',
      'max',
      '\n',
      ' ',
      '17',
      '18446744073709551615',
      'anon 5\n',
    ],
    ...[
      'total_rss 4096\n',
      '8:0 rbytes=1 wbytes=2 rios=3 wios=4\n',
      '8:0 Read 17\n',
      '8:0 Total 3\n',
    ],
    ...['some avg10=1.50 avg60=0.00 avg300=0.00 total=12\n', 'full avg10=.'],
  ],
};

/** Of proc_pid_mountinfo(5) and proc_pid_cgroup(5). */
export const mountinfoPieces: readonly string[] = [
  ...['30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n', ' - ', ' ', '/', ':'],
  ...['31 30 0:27 /a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n', '0::/own\n', '\n', ','],
  ...[
    '4:memory:/own\n',
    '5:cpu,cpuacct:/\n',
    '1:name=systemd:/x\n',
    '\\040',
    '..',
    'rw',
    'cgroup2',
  ],
];
