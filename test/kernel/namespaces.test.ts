import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { createContainer } from '../../lib/index.js';
import type { NamespaceOptions } from '../../lib/options.js';
import { run } from '../../lib/run.js';
import {
  during,
  namespaceFiles,
  namespacesInside,
  namespacesOf,
  output,
  refusal,
  sh,
} from '../helpers/containers.js';
import { until } from '../helpers/launches.js';
import { cgroups, command, linux, root, suite } from '../helpers/needs.js';

/** The options' name of each file of /proc/<pid>/ns. */
const optionOf = (file: string) => (file === 'mnt' ? 'mount' : file) as keyof NamespaceOptions;

suite('namespaces', [linux, cgroups], () => {
  const host = namespacesOf('self');

  test('all but time are new by default', async () => {
    const inside = await namespacesInside();
    for (const file of namespaceFiles) {
      if (file === 'time') expect(inside.time).toBe(host.time);
      else {
        expect(inside[file]).toMatch(new RegExp(`^${file}:\\[\\d+\\]$`));
        expect(inside[file]).not.toBe(host[file]);
      }
    }
  });

  test.each(['net', 'ipc', 'uts', 'cgroup'] as const)("%s: 'host' is the host's", async (file) => {
    const inside = await namespacesInside({ namespaces: { [file]: 'host' } });
    for (const other of namespaceFiles)
      if (other === file || other === 'time') expect(inside[other]).toBe(host[other]);
      else expect(inside[other]).not.toBe(host[other]);
  });

  test("network: 'host' is the host's network", async () => {
    expect((await namespacesInside({ network: 'host' })).net).toBe(host.net);
  });

  test("pid: 'host' has the host's process ids, and no proc that would show them", async () => {
    const options = { namespaces: { pid: 'host' as const } };
    expect(Number(await sh('echo $$', options))).toBeGreaterThan(2);
    expect(await output('ls /proc/1', options)).toContain('No such file');
  });

  test("mount: 'host' is refused, and the same by another name", async () => {
    const mount = { code: 'ERR_INVALID_OPTION', option: 'namespaces.mount', phase: 'options' };
    for (const choice of ['host', { path: '/proc/self/ns/mnt' }, { pid: process.pid }] as const)
      expect(await refusal({ namespaces: { mount: choice } })).toMatchObject(mount);
  });

  suite('of another user', [root, command('unshare')], () => {
    test('a user namespace that is joined: further programs start, too', async () => {
      const other = spawn('unshare', ['--user', 'sleep', '600']);
      try {
        const path = `/proc/${other.pid}/ns/user`;
        await until(() => readlinkSync(path) !== readlinkSync('/proc/self/ns/user'));
        for (const file of ['uid_map', 'gid_map'])
          writeFileSync(`/proc/${other.pid}/${file}`, '0 0 4294967295\n');
        for (const options of [{}, { command: ['sleep', '600'], init: true }]) {
          await using box = await createContainer({ ...options, namespaces: { user: { path } } });
          expect((await box.exec('true')).exitCode).toBe(0);
        }
      } finally {
        other.kill('SIGKILL');
      }
    });
  });

  test('a new time namespace shifts the clocks of the program', async () => {
    const day = 86_400_000;
    const options = {
      namespaces: { time: 'new' as const },
      timeOffsets: { monotonic: day, boottime: 2 * day },
    };
    // The file has two decimals: as whole numbers no sum is rounded.
    const hundredths = (text: string) => Math.round(100 * Number(text.split(' ')[0]));
    const uptime = () => hundredths(readFileSync('/proc/uptime', 'latin1'));
    const before = uptime();
    const shifted = hundredths(await sh('cat /proc/uptime', options));
    expect(shifted).toBeGreaterThanOrEqual(before + (2 * day) / 10);
    expect(shifted).toBeLessThanOrEqual(uptime() + (2 * day) / 10);
  });

  suite('clocks', [command('python3')], () => {
    test('CLOCK_MONOTONIC and CLOCK_BOOTTIME have offsets of their own', async () => {
      const options = {
        namespaces: { time: 'new' as const },
        timeOffsets: { monotonic: 86_400_500, boottime: 3_600_000 },
      };
      const program =
        'import time as t;print(t.monotonic(), t.clock_gettime(t.CLOCK_BOOTTIME), t.time())';
      const clocks = async (given: object) =>
        (await sh(`python3 -c '${program}'`, given)).split(' ').map(Number) as [
          number,
          number,
          number,
        ];
      const [mono, boot, real] = await clocks({});
      const [shiftedMono, shiftedBoot, sameReal] = await clocks(options);
      const [lateMono, lateBoot, lateReal] = await clocks({});
      expect(shiftedMono - 86_400.5).toBeGreaterThan(mono);
      expect(shiftedMono - 86_400.5).toBeLessThan(lateMono);
      expect(shiftedBoot - 3_600).toBeGreaterThan(boot);
      expect(shiftedBoot - 3_600).toBeLessThan(lateBoot);
      expect(sameReal).toBeGreaterThan(real - 1);
      expect(sameReal).toBeLessThan(lateReal + 1);
    });

    test('loopback is up, it is the only interface, and the host is not there', async () => {
      const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      let seen = 0;
      server.on('connection', () => seen++);
      const { port } = server.address() as { port: number };
      const program = `
import errno, os, socket
def refused(address):
  try: socket.create_connection(address, 5)
  except OSError as e: return errno.errorcode[e.errno]
for family, name in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
  server = socket.socket(family); server.bind((name, 0)); server.listen()
  client = socket.create_connection(server.getsockname()[:2]); server.accept()[0].send(b'hello')
  print(client.recv(5).decode())
print(os.listdir('/sys/class/net'))
print(refused(('127.0.0.1', ${port})), refused(('169.254.169.254', 80)))
`;
      const out = await output(`python3 - <<'END'\n${program}END`);
      server.close();
      expect(out).toBe("hello\nhello\n['lo']\nECONNREFUSED ENETUNREACH\n");
      expect(seen).toBe(0);
    });
  });

  test('init: false makes the program pid 1, in a time namespace too', async () => {
    const options = { init: false, namespaces: { time: 'new' as const } };
    expect(await sh('echo $$', options)).toBe('1\n');
    expect((await namespacesInside(options)).time).not.toBe(host.time);
  });
});

suite('namespaces that are joined', [linux, cgroups, root], () => {
  const host = namespacesOf('self');
  const joinable = ['net', 'ipc', 'uts', 'cgroup', 'time', 'user'] as const;

  test.each(joinable)('%s by pid and by path', async (file) => {
    await during({ namespaces: { time: 'new' } }, async (pid) => {
      const theirs = namespacesOf(pid);
      // Of the first process, too, although its children alone could do with it.
      expect(theirs.time).not.toBe(host.time);
      for (const choice of [{ pid }, { path: `/proc/${pid}/ns/${file}` }]) {
        const inside = await namespacesInside({ namespaces: { [optionOf(file)]: choice } });
        for (const other of namespaceFiles) {
          if (other === file) expect(inside[other]).toBe(theirs[other]);
          else expect(inside[other]).not.toBe(theirs[other]);
        }
      }
    });
    const after = await namespacesInside();
    for (const other of namespaceFiles)
      if (other !== 'time') expect(after[other]).not.toBe(host[other]);
  });

  test('a result says which namespaces were given up', async () => {
    await during({}, async (pid) => {
      const { isolation } = await run('true', [], { namespaces: { net: { pid }, uts: 'host' } });
      expect(isolation.missing).toEqual(
        expect.arrayContaining([
          { wall: 'namespace:network', why: 'joined' },
          { wall: 'namespace:uts', why: "the host's, by name" },
        ]),
      );
      expect(isolation.enforced).not.toContain('namespace:network');
      expect(isolation.enforced).toContain('namespace:ipc');
    });
  });

  test('pid, with its user namespace: the processes of both see each other', async () => {
    await during({}, async (pid) => {
      const namespaces = { pid: { pid }, user: { pid } };
      expect((await namespacesInside({ namespaces })).pid).toBe(namespacesOf(pid).pid);
      expect(await sh('tr "\\0" " " < /proc/2/cmdline', { namespaces })).toBe('sleep 600 ');
    });
  });

  test('mount, root and all', async () => {
    await during({ hostname: 'theirs' }, async (pid) => {
      const namespaces = { user: { pid }, pid: { pid }, mount: { pid } };
      expect((await namespacesInside({ namespaces })).mnt).toBe(namespacesOf(pid).mnt);
      expect(await sh('echo left > /tmp/left; cat /etc/hostname', { namespaces })).toBe('theirs\n');
      expect(await sh('cat /tmp/left; ls /', { namespaces })).toBe(`left\n${await sh('ls /')}`);
    });
  });

  test('a pod: two containers share net, ipc and uts, and nothing else', async () => {
    await during({ hostname: 'pod' }, async (pid) => {
      const shared = { net: { pid }, ipc: { pid }, uts: { pid } };
      await during({ namespaces: shared }, async (second) => {
        const [one, two] = [namespacesOf(pid), namespacesOf(second)];
        for (const file of ['net', 'ipc', 'uts'] as const) expect(two[file]).toBe(one[file]);
        for (const file of ['user', 'pid', 'mnt', 'cgroup'] as const)
          expect(two[file]).not.toBe(one[file]);
      });
      expect(await sh('hostname', { namespaces: shared })).toBe('pod\n');
    });
  });

  test('the host user namespace: host ids, but none of their power', async () => {
    const namespaces = { user: 'host' as const };
    expect((await namespacesInside({ namespaces })).user).toBe(host.user);
    const status = await sh('grep -E "^(Uid|CapEff|CapBnd|NoNewPrivs)" /proc/self/status', {
      namespaces,
    });
    expect(status).toBe(
      'Uid:\t0\t0\t0\t0\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\n',
    );
  });

  test('everything of the host at once is still a container', async () => {
    const hosts = 'host' as const;
    const namespaces = {
      ...{ user: hosts, pid: hosts, net: hosts },
      ...{ ipc: hosts, uts: hosts, cgroup: hosts },
    };
    await during({ namespaces }, (pid) => {
      const { mnt, ...rest } = namespacesOf(pid);
      expect(mnt).not.toBe(host.mnt);
      expect(rest).toEqual({ ...host, mnt: undefined });
    });
    expect(await sh('ls /; ls -A /tmp', { namespaces })).not.toMatch(/home|ringfort|proc|sys/);
    expect((await namespacesInside()).net).not.toBe(host.net);
  });

  test('what cannot be is a typed error that names the option', async () => {
    const invalid = (option: string) => ({ code: 'ERR_INVALID_OPTION', option });
    await during({}, async (pid) => {
      const wrong: [NamespaceOptions, Record<string, unknown>][] = [
        [{ pid: { pid } }, invalid('namespaces.pid')],
        [{ net: { path: `/proc/${pid}/ns/ipc` } }, invalid('namespaces.net')],
        [{ net: { path: '/etc/passwd' } }, invalid('namespaces.net')],
        [{ net: { pid: 5_000_000 } }, invalid('namespaces.net.pid')],
        [{ ipc: { path: '/proc/none/ns/ipc' } }, { code: 'ERR_NAMESPACE_NOT_FOUND' }],
        [{ user: { path: '/proc/self/ns/user' } }, { syscall: 'setns' }],
      ];
      for (const [namespaces, error] of wrong)
        expect(await refusal({ namespaces })).toMatchObject(error);
      const hostname = 'mine';
      expect(await refusal({ namespaces: { uts: { pid } }, hostname })).toMatchObject(
        invalid('hostname'),
      );
    });
    const mounts = [{ type: 'mqueue', destination: '/dev/mqueue' }];
    expect(await refusal({ namespaces: { ipc: 'host' }, mounts })).toMatchObject(
      invalid('namespaces.ipc'),
    );
  });
});
