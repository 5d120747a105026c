import { scratch } from '../scratch.js';

/** OCI specs beside those that the seeds of options are compiled to. */
export const specSeeds: readonly object[] = [
  {
    ociVersion: '1.0.2',
    root: { path: `${scratch}/root`, readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'mode=755', 'size=64k'],
      },
      { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['newinstance'] },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['ro'] },
      { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['ro'] },
    ],
    process: {
      terminal: true,
      consoleSize: { height: 24, width: 80 },
      user: { uid: 0, gid: 0, umask: 18, additionalGids: [5, 6] },
      args: ['sh'],
      env: ['PATH=/usr/bin:/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: { bounding: ['CAP_KILL'], ambient: [] },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: false,
    },
    hostname: 'runc',
    linux: {
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      namespaces: [
        { type: 'pid' },
        { type: 'network', path: '/proc/1/ns/net' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        { type: 'cgroup' },
      ],
      maskedPaths: ['/proc/acpi'],
      readonlyPaths: ['/proc/bus'],
    },
  },
];
