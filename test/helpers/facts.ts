import type { Facts } from '../../lib/policy/facts.js';

/** A host that never changes, for plans that are compared byte for byte: root on a recent kernel. */
export const fixedFacts: Facts = {
  privileged: true,
  kernel: [6, 18],
  arch: 'x64',
  landlockAbi: 7,
  uidMappings: [{ containerID: 0, hostID: 524288, size: 65536 }],
  gidMappings: [{ containerID: 0, hostID: 524288, size: 65536 }],
  denySetgroups: false,
  hardLimits: {},
  coreHandler: false,
  hostEntries: [
    { path: '/usr', kind: 'directory' },
    { path: '/bin', kind: 'symlink', target: 'usr/bin' },
    { path: '/etc/ld.so.cache', kind: 'file' },
    { path: '/etc/ssl', kind: 'directory' },
    { path: '/etc/localtime', kind: 'symlink', target: '/usr/share/zoneinfo/Etc/UTC' },
  ],
  root: { existing: new Set(['/proc', '/dev', '/sys', '/data']) },
  fileSources: new Set(['/srv/file']),
  lsms: [],
};

/** The same host for an ordinary user. */
export const userFacts: Facts = {
  ...fixedFacts,
  privileged: false,
  uidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
  gidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
  denySetgroups: true,
};
