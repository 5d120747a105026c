import { describe, expect, test } from '@jest/globals';
import { directoryOf, parseCgroups } from '../../lib/cgroups/detect.js';

const hybrid = {
  cgroup: `8:pids:/
4:memory:/api/0123
2:cpuacct:/
1:cpu:/
9:name=systemd:/
0::/
`,
  mountinfo: `22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`,
};

const ubuntu = {
  cgroup: '0::/user.slice/user-1000.slice/session-2.scope\n',
  mountinfo: `24 30 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
30 1 252:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`,
};

const dockerPrivate = {
  cgroup: '0::/\n',
  mountinfo: `601 480 0:95 / / rw,relatime master:190 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
604 601 0:99 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
605 604 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate
`,
};

const dockerHostV1 = {
  cgroup: `5:memory:/docker/f00d
4:cpu,cpuacct:/docker/f00d
`,
  mountinfo: `601 480 0:95 / / rw,relatime - overlay overlay rw
604 601 0:99 / /sys ro,relatime - sysfs sysfs ro
610 604 0:101 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw,mode=755
611 610 0:33 /docker/f00d /sys/fs/cgroup/cpu,cpuacct ro,relatime master:14 - cgroup cgroup rw,cpu,cpuacct
612 610 0:34 /docker/f00d /sys/fs/cgroup/memory ro,relatime master:15 - cgroup cgroup rw,memory
`,
};

const rhel7 = {
  cgroup: `11:memory:/user.slice
10:cpuacct,cpu:/user.slice
9:pids:/
1:name=systemd:/user.slice/user-0.slice/session-1.scope
`,
  mountinfo: `17 61 0:17 / /sys rw,nosuid,nodev,noexec,relatime shared:6 - sysfs sysfs rw,seclabel
22 17 0:20 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:8 - tmpfs tmpfs ro,seclabel,mode=755
23 22 0:21 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,seclabel,xattr,name=systemd
25 22 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:10 - cgroup cgroup rw,seclabel,cpuacct,cpu
26 22 0:24 / /sys/fs/cgroup/memory rw,relatime shared:11 - cgroup cgroup rw,seclabel,memory
27 22 0:25 / /sys/fs/cgroup/pids rw,relatime shared:12 - cgroup cgroup rw,seclabel,pids
61 1 253:0 / / rw,relatime shared:1 - xfs /dev/mapper/root rw,seclabel
`,
};

const rootless = {
  cgroup: '0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope\n',
  mountinfo: ubuntu.mountinfo,
};

function parse(fixture: { cgroup: string; mountinfo: string }) {
  return parseCgroups(fixture.mountinfo, fixture.cgroup);
}

function ownDirectory(fixture: { cgroup: string; mountinfo: string }, controller?: string) {
  const host = parse(fixture);
  const hierarchy = controller === undefined ? host.unified : host.v1.get(controller);
  return hierarchy && directoryOf(hierarchy, hierarchy.own);
}

describe('parseCgroups', () => {
  test('a hybrid host: controllers on v1, and a v2 tree', () => {
    const host = parse(hybrid);
    expect(host.mode).toBe('hybrid');
    expect([...host.v1.keys()].sort()).toEqual(['cpu', 'cpuacct', 'memory', 'pids']);
    expect(ownDirectory(hybrid)).toBe('/sys/fs/cgroup/unified');
    expect(ownDirectory(hybrid, 'memory')).toBe('/sys/fs/cgroup/memory/api/0123');
  });

  test('systemd on v2', () => {
    expect(parse(ubuntu)).toMatchObject({ mode: 'v2', unified: { version: 2, readonly: false } });
    expect(ownDirectory(ubuntu)).toBe('/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope');
  });

  test('a session of an ordinary user', () => {
    expect(ownDirectory(rootless)).toBe(
      '/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope',
    );
  });

  test('Docker with a cgroup namespace of its own: the mount is read-only', () => {
    expect(parse(dockerPrivate).unified).toMatchObject({ readonly: true, own: '/' });
    expect(ownDirectory(dockerPrivate)).toBe('/sys/fs/cgroup');
  });

  test('Docker in the host cgroup namespace: the mounts show a part of the tree', () => {
    expect(parse(dockerHostV1).mode).toBe('v1');
    expect(ownDirectory(dockerHostV1, 'cpu')).toBe('/sys/fs/cgroup/cpu,cpuacct');
    const memory = parse(dockerHostV1).v1.get('memory');
    expect(memory && directoryOf(memory, '/docker/other')).toBeUndefined();
  });

  test('pure v1 with co-mounted controllers in either order', () => {
    const host = parse(rhel7);
    expect(host.mode).toBe('v1');
    expect(host.unified).toBeUndefined();
    expect(host.v1.get('cpu')).toBe(host.v1.get('cpuacct'));
    expect(ownDirectory(rhel7, 'cpu')).toBe('/sys/fs/cgroup/cpu,cpuacct/user.slice');
  });

  test('a named v1 hierarchy is no controller', () => {
    expect(parse(rhel7).v1.has('name=systemd')).toBe(false);
  });

  test('a mount that a later one covers does not count', () => {
    const covered = `${ubuntu.mountinfo}90 24 0:77 / /sys/fs rw - tmpfs tmpfs rw\n`;
    expect(parseCgroups(covered, ubuntu.cgroup).mode).toBe('none');
  });

  test('a mount on the same place covers the first', () => {
    const twice = `${ubuntu.mountinfo}90 35 0:30 /user.slice /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n`;
    expect(parseCgroups(twice, ubuntu.cgroup).unified).toMatchObject({ root: '/user.slice' });
  });

  test('of two mounts the one that shows our cgroup and may be written is taken', () => {
    const second = `${ubuntu.mountinfo}90 30 0:30 / /run/cg ro - cgroup2 cgroup2 rw
91 30 0:30 /other /run/other rw - cgroup2 cgroup2 rw
`;
    expect(parseCgroups(second, ubuntu.cgroup).unified?.mount).toBe('/sys/fs/cgroup');
  });

  test('a table entry that is not believed does not count', () => {
    expect(parseCgroups(ubuntu.mountinfo, ubuntu.cgroup, () => false).mode).toBe('none');
  });

  test('escaped blanks in a mount point', () => {
    const blank = '24 1 0:30 / /mnt/a\\040b rw - cgroup2 none rw\n';
    expect(parseCgroups(blank, '0::/x\n').unified?.mount).toBe('/mnt/a b');
  });

  test('no cgroup tree at all', () => {
    expect(parseCgroups('', '').mode).toBe('none');
  });
});

describe('directoryOf', () => {
  const at = (root: string, path: string) => directoryOf({ mount: '/cg', root }, path);

  test('paths above the root of the namespace cannot be seen', () => {
    expect(at('/', '/../x')).toBeUndefined();
    expect(at('/..', '/')).toBeUndefined();
  });

  test('a sibling whose name begins alike is not below', () => {
    expect(at('/a', '/ab')).toBeUndefined();
    expect(at('/a', '/a/b')).toBe('/cg/b');
  });
});
