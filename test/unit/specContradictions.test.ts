import { describe } from '@jest/globals';
import { extents, maps, type Refusal, refuses } from '../helpers/refusals.js';

const bind = (i: number) => `/a:/m${i}`;

describe('id maps', () => {
  const one = { containerID: 0, hostID: 100000, size: 1 };
  const both = (list: unknown) => ({ uidMappings: list, gidMappings: list });
  refuses([
    [both([]), 'uidMappings', '1 to 340'],
    [both(extents(341)), 'uidMappings', '1 to 340'],
    [both([{ ...one, hostID: 0 }]), 'uidMappings[0].hostID', 'other than 0'],
    [both([{ ...one, size: 0 }]), 'uidMappings[0].size', 'from 1'],
    [both([{ ...one, size: -1 }]), 'uidMappings[0].size', 'from 1'],
    [both([{ ...one, size: 2 ** 32 }]), 'uidMappings[0].size', 'from 1'],
    [both([{ ...one, size: '1\n0 0 1' }]), 'uidMappings[0].size', 'an integer'],
    [both([{ ...one, containerID: 4294967295 }]), 'uidMappings[0].containerID', 'from 0'],
    [both([{ ...one, hostID: 4294967294, size: 2 }]), 'uidMappings[0].size', 'ends at id'],
    [both([{ ...one, containerID: 4294967294, size: 2 }]), 'uidMappings[0].size', 'ends at id'],
    [
      both([
        { ...one, size: 5 },
        { containerID: 4, hostID: 1, size: 1 },
      ]),
      'uidMappings[1].containerID',
      'overlap',
    ],
    [
      both([
        { ...one, size: 5 },
        { containerID: 5, hostID: 100004, size: 1 },
      ]),
      'uidMappings[1].hostID',
      'overlap',
    ],
    [both([{ containerID: 0, hostID: 1 }]), 'uidMappings[0].size', 'a value'],
    [{ idPool: { hostID: 0, size: 65536 } }, 'idPool.hostID', 'from 1'],
    [{ idPool: { hostID: 1, size: 65535 } }, 'idPool.size', 'from 65536'],
    [{ idPool: { hostID: 4294967294, size: 65536 } }, 'idPool.size', 'ends at id'],
  ]);
});

describe('mounts', () => {
  const one = (mount: unknown) => ({ mounts: [mount] });
  refuses([
    [{ mounts: Array.from({ length: 10_001 }, (_, i) => bind(i)) }, 'mounts', '0 to 1000'],
    [one('/a'), 'mounts[0]', "'source:destination'"],
    [one('a:/b'), 'mounts[0]', "begins with '/'"],
    [one('/a:b'), 'mounts[0].destination', 'an absolute path'],
    [one('/a:/'), 'mounts[0].destination', "below '/'"],
    [one('/a:/b/../c'), 'mounts[0].destination', "without '..'"],
    [one('/a:/proc'), 'mounts[0].destination', 'outside /proc'],
    [one('/a:/proc/sys'), 'mounts[0].destination', 'outside /proc'],
    [one('/a://./proc/sys'), 'mounts[0].destination', 'outside /proc'],
    [one({ destination: '/proc/x', type: 'proc' }), 'mounts[0].destination', 'outside /proc'],
    [one('/a:/b:shared'), 'mounts[0].options[0]', "'private'"],
    [one('/a:/b:z'), 'mounts[0].options[0]', 'an option of bind mounts'],
    [one({ destination: '/a' }), 'mounts[0].type', 'one of bind'],
    [one({ destination: '/a', type: 'ext4' }), 'mounts[0].type', "one of 'bind'"],
    [one({ destination: '/a', type: 'bind' }), 'mounts[0].source', 'the path to bind'],
    [
      one({ destination: '/a', type: 'tmpfs', options: ['rshared'] }),
      'mounts[0].options[0]',
      "'private'",
    ],
    [
      one({ ...maps, gidMappings: undefined, destination: '/a', type: 'tmpfs' }),
      'mounts[0]',
      'together',
    ],
    [{ mounts: ['/a:/b', '/c:/b/'] }, 'mounts[1]', 'another destination'],
  ]);
});

describe('sysctls', () => {
  const one = (name: string, value: unknown = '1') => ({ sysctl: { [name]: value } });
  const at = (name: string) => `sysctl[${JSON.stringify(name)}]`;
  refuses([
    ...[
      'kernel.core_pattern',
      'kernel/../x',
      'net.ipv4/../../k',
      'net..x',
      'net.',
      'fs.file-max',
    ].map((name): Refusal => [one(name), at(name), 'net.*']),
    [one('net'), 'sysctl.net', 'net.*'],
    [one('kernel.shm.x'), at('kernel.shm.x'), 'net.*'],
    [one('net.a', 1), at('net.a'), 'a string'],
    [one('net.a', '1\n2'), at('net.a'), 'one line'],
    [one('net.a', 'x'.repeat(4096)), at('net.a'), 'one line'],
    [{ ...one('net.a'), network: 'host' }, at('net.a'), 'a new network namespace'],
    [{ ...one('net.a'), namespaces: { net: { pid: 1 } } }, at('net.a'), 'a new network namespace'],
    [
      { ...one('kernel.sem'), namespaces: { ipc: 'host' } },
      at('kernel.sem'),
      'a new ipc namespace',
    ],
  ]);
});

describe('contradictions', () => {
  refuses([
    [{ user: 'a', uid: 1 }, 'uid', 'nothing beside `user`'],
    [{ user: 'a', gid: 1 }, 'gid', 'nothing beside `user`'],
    [{ uidMappings: maps.uidMappings }, 'gidMappings', 'a value'],
    [{ gidMappings: maps.gidMappings }, 'uidMappings', 'a value'],
    [{ ...maps, idPool: { hostID: 1, size: 65536 } }, 'idPool', 'nothing beside'],
    [{ ...maps, namespaces: { user: 'host' } }, 'uidMappings', "not 'new'"],
    [{ ...maps, namespaces: { user: { pid: 1 } } }, 'uidMappings', "not 'new'"],
    [{ idPool: { hostID: 1, size: 65536 }, namespaces: { user: 'host' } }, 'idPool', "not 'new'"],
    [{ ...maps, uid: 65536 }, 'uid', 'within `uidMappings`'],
    [{ ...maps, user: '5:65536' }, 'user', 'within `gidMappings`'],
    [{ ...maps, groups: [1, 65536] }, 'groups[1]', 'within `gidMappings`'],
    [{ network: 'host', namespaces: { net: 'new' } }, 'namespaces.net', "'host' beside"],
    [{ network: 'none', namespaces: { net: 'host' } }, 'namespaces.net', "'new' beside"],
    [{ network: 'none', namespaces: { net: { pid: 1 } } }, 'namespaces.net', "'new' beside"],
    [{ namespaces: { mount: 'host' } }, 'namespaces.mount', "'new' or one to join"],
    [{ namespaces: { mount: { pid: 1 } }, rootfs: 'host' }, 'rootfs', 'joined'],
    [{ namespaces: { mount: { pid: 1 } }, mounts: ['/a:/b'] }, 'mounts', 'joined'],
    [{ readonly: false }, 'readonly', "true with `rootfs: 'host'`"],
    [{ rootfs: { lower: ['a'], upper: 'u' } }, 'rootfs', 'upper and work together'],
    [{ rootfs: { lower: ['a'], work: 'w' } }, 'rootfs', 'upper and work together'],
    [{ rootfs: { lower: ['a'], upper: 'u', work: 'w', size: '1m' } }, 'rootfs.size', 'no size'],
    [{ timeOffsets: { monotonic: 5 } }, 'timeOffsets', "`namespaces.time: 'new'`"],
    [{ hostname: 'a', namespaces: { uts: 'host' } }, 'hostname', "not 'new'"],
    [{ domainname: 'a', namespaces: { uts: { pid: 1 } } }, 'domainname', "not 'new'"],
    [{ limits: 'none', resources: {} }, 'resources', "nothing beside `limits: 'none'`"],
    [{ limits: { nofile: 5 }, rlimits: { RLIMIT_NOFILE: 5 } }, 'rlimits.RLIMIT_NOFILE', 'nofile'],
    [{ limits: { fsize: 5 }, rlimits: { RLIMIT_FSIZE: 5 } }, 'rlimits.RLIMIT_FSIZE', 'fsize'],
    [
      { limits: { memory: '1g' }, resources: { memory: { swap: 2 ** 29 } } },
      'resources.memory.swap',
      'at least 1073741824',
    ],
    [{ limits: { swap: 2 ** 53 - 1 } }, 'limits.swap', 'below 2^53'],
    [{ capabilities: { effective: ['KILL'] } }, 'capabilities.effective', 'a subset of permitted'],
    [{ capabilities: { permitted: ['KILL'] } }, 'capabilities.permitted', 'a subset of bounding'],
    [
      { capabilities: { bounding: ['KILL'], permitted: ['KILL'], ambient: ['KILL'] } },
      'capabilities.ambient',
      'a subset of inheritable',
    ],
    [{ pty: { cols: 1, rows: 1 }, input: '' }, 'input', 'nothing beside `pty`'],
    [{ pty: { cols: 1, rows: 1 }, stdio: 'ignore' }, 'stdio', "'pipe' or 'inherit'"],
    [{ input: 'a', stdio: 'ignore' }, 'stdio', "'pipe' for stdin"],
    [{ input: 'a', stdio: ['inherit', 'pipe', 'pipe'] }, 'stdio[0]', "'pipe' for stdin"],
  ]);
});
