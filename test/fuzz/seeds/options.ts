import { defaultProfile } from '../../../lib/seccomp/default.js';
import { scratch } from '../scratch.js';
import { mobySeeds } from './seccomp.js';

/** Options as people write them; together they have every option there is. */
export const runSeeds: readonly object[] = [
  {},
  {
    rootfs: 'host',
    readonly: true,
    mounts: [`${scratch}/data:/data:ro`, '/usr/share:/opt/share', '/tmp:/mnt:nosuid,dangerous'],
    hostname: 'box',
    domainname: 'example.org',
    network: 'none',
    limits: {
      memory: '64MiB',
      swap: 0,
      cpus: 0.5,
      cpuWeight: 50,
      pids: 64,
      nofile: 256,
      fsize: '1g',
    },
    env: { PATH: '/usr/bin', EMPTY: '', GONE: undefined },
    cwd: '/data',
    user: '1000:1000',
    umask: 0o077,
    timeout: 5000,
    killSignal: 'SIGTERM',
    forceKillAfterDelay: false,
    input: 'text',
    maxBuffer: '1MiB',
    maxBufferAction: 'truncate',
    encoding: 'utf8',
    reject: false,
  },
  {
    rootfs: `${scratch}/root`,
    readonly: false,
    mounts: [
      {
        destination: '/proc',
        type: 'proc',
        source: 'proc',
        options: ['nosuid', 'hidepid=invisible'],
      },
      {
        destination: '/scratch',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['size=16m', 'mode=1777'],
      },
      { destination: '/both', type: 'bind', source: '/usr', options: ['rbind', 'ro'] },
      {
        destination: '/merged',
        type: 'overlay',
        source: 'overlay',
        options: ['lowerdir=/usr/lib:/usr/bin', 'noexec'],
      },
    ],
    maskedPaths: ['/proc/kcore', '/sys/devices/system/cpu/cpu*/thermal_throttle'],
    readonlyPaths: ['/proc/sys'],
    namespaces: {
      user: 'new',
      pid: 'new',
      net: 'new',
      ipc: 'new',
      uts: 'new',
      cgroup: 'new',
      time: 'new',
    },
    timeOffsets: { monotonic: 1500, boottime: -2500 },
    uidMappings: [{ containerID: 0, hostID: 524288, size: 65536 }],
    gidMappings: [{ containerID: 0, hostID: 524288, size: 65536 }],
    uid: 1000,
    gid: 1000,
    groups: [1000, 20],
    capabilities: ['CAP_NET_BIND_SERVICE', 'CHOWN'],
    noNewPrivileges: true,
    rlimits: { RLIMIT_NOFILE: [256, 512], RLIMIT_CORE: 1 },
    oomScoreAdj: 500,
    sysctl: { 'net.ipv4.ip_unprivileged_port_start': '0', 'kernel.shmmax': '1048576' },
    seccomp: defaultProfile(),
    landlock: 'auto',
    init: false,
    annotations: { 'org.example.owner': 'somebody' },
    stdio: ['ignore', 'pipe', 'inherit'],
  },
  {
    rootfs: { lower: [`${scratch}/root`, `${scratch}/lower`], size: '8MiB' },
    namespaces: { net: 'host', ipc: { pid: 1 }, uts: { path: '/proc/1/ns/uts' } },
    capabilities: { bounding: ['CAP_KILL'], effective: ['CAP_KILL'], permitted: ['CAP_KILL'] },
    seccomp: mobySeeds[0],
    resources: {
      memory: { limit: 64 << 20, reservation: 32 << 20, swap: 128 << 20 },
      cpu: { shares: 512, quota: 50000, period: 100000, cpus: '0', mems: '0' },
      pids: { limit: 32 },
      blockIO: { weight: 100, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1048576 }] },
      devices: [
        { allow: false, access: 'rwm' },
        { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' },
      ],
      unified: { 'memory.high': '50000000' },
    },
    cgroupParent: '/own',
    pty: { cols: 80, rows: 24 },
    idPool: { hostID: 1 << 20, size: 1 << 20 },
  },
  {
    rootfs: { lower: [`${scratch}/root`], upper: `${scratch}/upper`, work: `${scratch}/work` },
    limits: 'none',
    seccomp: 'unconfined',
    capabilities: 'image',
    landlock: 'off',
    oci: (spec: unknown) => spec,
  },
  {
    limits: { io: [{ device: '8:0', readBps: '1m', writeIops: 100 }], cpuTime: 100, cpuset: '0-1' },
  },
  // Refused where the host has neither, as that of the fuzzers.
  { apparmorProfile: 'docker-default', selinuxLabel: 'system_u:system_r:container_t:s0' },
  { network: 'host', stdio: 'ignore', encoding: 'buffer', user: 'root' },
];

/** What `createContainer` has besides. */
export const createSeeds: readonly object[] = [
  ...runSeeds.slice(0, 1),
  { id: 'web-1', labels: { app: 'web' }, detached: true, logs: { maxSize: '1MiB', maxFiles: 3 } },
  { command: ['sh', '-c', 'true'], stdio: 'pipe', start: false, init: true },
  { command: ['top'], pty: { cols: 80, rows: 24 }, limits: { memory: '64MiB', cpuTime: 50 } },
];

/** What `exec` and `spawn` take. */
export const programSeeds: readonly object[] = [
  {},
  { env: { A: 'b' }, cwd: '/', user: 'nobody:nogroup', limits: { memory: '8MiB', nofile: 64 } },
  { uid: 1, gid: 1, groups: [], umask: 0, timeout: 100, killSignal: 9, stdio: 'pipe' },
  { pty: { cols: 1, rows: 1 }, stdio: ['pipe', 'ignore', 'ignore'], windowsHide: true },
];

/** What `update` takes. */
export const updateSeeds: readonly object[] = [
  { limits: { memory: '64MiB', swap: 0, cpus: null, pids: 10 } },
  { limits: { cpuWeight: 100, cpuset: '0', io: [{ device: '/dev/null', readBps: 1 }] } },
];
