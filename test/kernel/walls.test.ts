import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { run } from '../../lib/run.js';
import { during, output, refusal, sh, type TextOptions } from '../helpers/containers.js';
import { withInheritable } from '../helpers/inheritable.js';
import { hasEnded } from '../helpers/launches.js';
import { descendants, processName } from '../helpers/leaks.js';
import { cgroups, command, linux, manyIds, root, suite } from '../helpers/needs.js';
import { buildProbe, staticCompiler } from '../helpers/probe.js';

/** Fields of the program's own /proc/self/status. */
async function status(options: TextOptions = {}): Promise<Record<string, string>> {
  const { stdout } = await run('cat', ['/proc/self/status'], options);
  return Object.fromEntries(
    stdout.split('\n').map((line) => line.split(/:\t?/, 2).map((part) => part.trim())),
  );
}

const capabilitySets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];
const capabilitiesOf = (fields: Record<string, string>) =>
  capabilitySets.map((name) => Number.parseInt(fields[name] ?? '', 16));

suite('capabilities', [linux, cgroups], () => {
  test('none by default, no_new_privs and a filter', async () => {
    const fields = await status();
    expect(capabilitiesOf(fields)).toEqual([0, 0, 0, 0, 0]);
    expect(fields).toMatchObject({ NoNewPrivs: '1', Seccomp: '2', Groups: '' });
    expect(
      await output('mknod /tmp/x c 1 3; hostname x; umount /proc; date -s 2000-01-01'),
    ).toMatch(/^(.*(not permitted|denied|must be (superuser|root)).*\n){4}/);
  });

  test('a list is every set but inheritable and ambient', async () => {
    const capabilities = ['CAP_CHOWN', 'CAP_NET_BIND_SERVICE'];
    expect(capabilitiesOf(await status({ capabilities }))).toEqual([0, 0x401, 0x401, 0x401, 0]);
  });

  test("'image' is nine", async () => {
    const image = 0x5fb;
    expect(capabilitiesOf(await status({ capabilities: 'image' }))).toEqual([
      ...[0, image, image, image, 0],
    ]);
  });

  test('without no_new_privs there is still a filter, and the report says what is missing', async () => {
    const options = { noNewPrivileges: false };
    const fields = await status(options);
    expect(fields).toMatchObject({ NoNewPrivs: '0', Seccomp: '2' });
    expect(capabilitiesOf(fields)).toEqual([0, 0, 0, 0, 0]);
    const { isolation } = await run('true', [], options);
    expect(isolation.missing.map(({ wall }) => wall)).toContain('no-new-privileges');
    expect(isolation.enforced).not.toContain('no-new-privileges');
  });

  test('resource limits are set, and cannot be raised', async () => {
    const rlimits = { RLIMIT_STACK: 1 << 20, RLIMIT_CPU: [5, 10] as [number, number] };
    const script = 'ulimit -s; ulimit -St; ulimit -Ht; ulimit -c; ulimit -Sn; ulimit -Hn';
    expect(await sh(script, { rlimits })).toBe('1024\n5\n10\n0\n1024\n4096\n');
    expect(await output('ulimit -Hn 5000', { rlimits })).toMatch(/not permitted|error setting/);
  });
});

suite('ids and their capabilities', [linux, cgroups, manyIds], () => {
  test('each set by itself, ambient ones reach a program of another uid', async () => {
    const one = ['CAP_CHOWN'];
    const sets = { bounding: one, permitted: one, effective: one, inheritable: one, ambient: one };
    expect(capabilitiesOf(await status({ capabilities: sets, uid: 1000 }))).toEqual([
      1, 1, 1, 1, 1,
    ]);
    expect(capabilitiesOf(await status({ capabilities: one, uid: 1000 }))).toEqual([0, 0, 0, 1, 0]);
    for (const wrong of [{ ambient: one }, { effective: one }, ['CAP_NONE'], 'all'])
      expect(await refusal({ capabilities: wrong as never })).toMatchObject({
        code: 'ERR_INVALID_OPTION',
        option: expect.stringMatching(/^capabilities/),
      });
  });

  test('uid, gid and groups are exactly those asked for', async () => {
    const fields = await status({ uid: 5, gid: 6, groups: [9, 7] });
    expect(fields).toMatchObject({ Uid: '5\t5\t5\t5', Gid: '6\t6\t6\t6', Groups: '7 9' });
    expect(await sh('id -u; id -g; id -G', { user: '5:6' })).toBe('5\n6\n6\n');
    expect(await output('python3 -c "import os; os.setgroups([])" 2>&1 | tail -1')).toMatch(
      /PermissionError|not found/,
    );
  });

  test('a capability over files is one over files of the container', async () => {
    const capabilities = ['CAP_CHOWN'];
    expect(await sh('touch /tmp/x; chown 7 /tmp/x; stat -c %u /tmp/x', { capabilities })).toBe(
      '7\n',
    );
    expect(await output('touch /tmp/x; chown 7 /tmp/x')).toContain('not permitted');
  });
});

suite('labels of a security module that the host does not have', [linux, cgroups], () => {
  const files = { apparmor: '/proc/self/attr/apparmor', selinux: '/sys/fs/selinux/enforce' };
  const lsms = Object.entries(files).flatMap(([name, file]) => (existsSync(file) ? [] : [name]));
  test.each(lsms)('%s is a typed error', async (name) => {
    const option = name === 'apparmor' ? 'apparmorProfile' : 'selinuxLabel';
    expect(await refusal({ [option]: 'label' })).toMatchObject({
      name: 'UnsupportedError',
      code: 'ERR_LSM_UNAVAILABLE',
      option,
    });
  });
});

function readFileOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

suite('Landlock', [linux, cgroups, command('mount')], () => {
  const admin: TextOptions = { capabilities: ['CAP_SYS_ADMIN'], seccomp: 'unconfined' };

  test('stands behind the other walls: it alone refuses a mount', async () => {
    const script = 'mount -t tmpfs none /run && mkdir /run/x && echo mounted';
    expect(await output(script, { ...admin, landlock: 'off' })).toBe('mounted\n');
    expect(await output(script, admin)).toContain('permission denied');
  });

  test('is reported with its version, or as missing', async () => {
    const { isolation } = await run('true', [], { landlock: 'require' });
    expect(isolation.enforced.join()).toMatch(/landlock:abi[1-9]/);
    const off = (await run('true', [], { landlock: 'off' })).isolation;
    expect(off.enforced.join()).not.toContain('landlock');
    expect(off.missing).toContainEqual({ wall: 'landlock', why: 'given up by name' });
  });

  test('lets through what a writable place is for', async () => {
    const script = `cd /tmp; mkdir a b; echo x > a/f; mv a/f b/g; ln b/g h; ln -s h l; mkfifo p
      : > h; chmod 600 h; rm -r a b h l p; ls /tmp; cp /bin/true /run/t; /run/t && echo ran`;
    expect(await sh(script)).toBe('ran\n');
  });
});

suite('what reaches a container from outside', [linux, cgroups, staticCompiler], () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-walls-'));
    chmodSync(directory, 0o755);
    buildProbe(join(directory, 'probe'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const probe = async (args: string[], options: TextOptions = {}) => {
    const mounts = [
      `${join(directory, 'probe')}:/run/probe:ro,dangerous`,
      ...(options.mounts ?? []),
    ];
    return (await run('/run/probe', args, { ...options, mounts })).stdout;
  };

  test('of 100 inheritable descriptors, none', async () => {
    await withInheritable(100, async (fds) => {
      const ours = new Set(fds.map((fd) => readlinkSync(`/proc/self/fd/${fd}`)));
      // Positive control: a child of Node's own has them all.
      const inherited = execFileSync(join(directory, 'probe'), ['fds'], { encoding: 'utf8' });
      expect(inherited.split(' ')).toEqual(expect.arrayContaining(fds.map(String)));
      expect(await probe(['fds'])).toBe('0 1 2 ');
      await during({}, (pid) => {
        // Of processes that are not dumpable only root sees this.
        if (process.getuid?.() !== 0) return;
        // One of the container before may be on its way out.
        for (const each of [pid, ...descendants()].filter((one) => !hasEnded(one)))
          for (const fd of descriptorsOf(each)) expect(ours).not.toContain(fd);
        expect(descriptorsOf(pid)).toEqual([]);
      });
    });
  });

  test('of the environment, nothing', async () => {
    process.env.RINGFORT_TEST_SECRET = 'secret';
    const { stdout } = await run('/usr/bin/env', []);
    expect(stdout).toBe('');
    expect((await run('/usr/bin/env', [], { env: { A: 'b' } })).stdout).toBe('A=b\n');
    await during({ env: { GUEST: 'x' } }, (pid) => {
      for (const each of [pid, ...descendants()])
        expect(readFileOr(`/proc/${each}/environ`)).not.toContain('secret');
      expect(readFileOr(`/proc/${pid}/environ`)).toBe('');
    });
    delete process.env.RINGFORT_TEST_SECRET;
  });

  test('a session, a process group and a keyring of its own', async () => {
    expect(await probe(['session'])).toBe('2 2 2\n');
    const unconfined: TextOptions = { seccomp: 'unconfined' };
    const rings = [await probe(['keyring'], unconfined), await probe(['keyring'], unconfined)];
    expect(rings[0]).toMatch(/^[1-9]\d*\n$/);
    expect(rings[0]).not.toBe(rings[1]);
  });

  test('the program of pid 1 cannot be written, even with every right over it', async () => {
    expect(await probe(['write', '/proc/1/exe', 'x'])).toMatch(/^(EACCES|EPERM|ENOENT)\n$/);
    const powerful: TextOptions = {
      capabilities: ['CAP_SYS_PTRACE', 'CAP_DAC_OVERRIDE', 'CAP_SYS_ADMIN', 'CAP_FOWNER'],
      seccomp: 'unconfined',
      landlock: 'off',
    };
    for (const path of ['/proc/1/exe', '/proc/self/exe', '/proc/1/root/usr/bin/node'])
      expect(await probe(['write', path, 'x'], powerful)).toMatch(
        /^(EACCES|EPERM|ENOENT|ETXTBSY|EROFS)\n$/,
      );
  });

  test('the launcher can be attached by nobody inside, even with its own uid', async () => {
    await during({}, async () => {
      const launchers = descendants().filter((pid) => processName(pid) === 'ringfort');
      expect(launchers.length).toBeGreaterThan(0);
      const namespaces = { pid: 'host' as const, user: 'host' as const };
      for (const pid of launchers) {
        const args = ['ptrace', String(pid)];
        const answer = await probe(args, { namespaces, seccomp: 'unconfined' });
        // A child that does not have its own name yet is soon gone.
        if (!hasEnded(pid)) expect(answer).toBe('EPERM\n');
      }
      expect(launchers.filter((pid) => !hasEnded(pid))).not.toEqual([]);
    });
  });

  suite('set-id programs', [root], () => {
    test('raise nothing, unless three walls are given up by name', async () => {
      const copy = join(directory, 'raise');
      copyFileSync(join(directory, 'probe'), copy);
      chownSync(copy, 0, 0);
      chmodSync(copy, 0o6755);
      const user = { uid: 1000, gid: 1000 };
      const ids = (options: TextOptions, word: string) => {
        const bind = {
          destination: '/run/raise',
          type: 'bind',
          source: copy,
          options: ['ro', word],
        };
        return run('/run/raise', ['ids'], { ...user, ...options, mounts: [bind] });
      };
      expect((await ids({}, 'suid')).stdout).toBe('1000 1000 1000\n');
      expect((await ids({ noNewPrivileges: false }, 'nosuid')).stdout).toBe('1000 1000 1000\n');
      // Positive control: the program would raise them.
      expect((await ids({ noNewPrivileges: false }, 'suid')).stdout).toBe('1000 0 0\n');
    });
  });
});

function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch (error) {
      // Closed meanwhile.
      expect((error as NodeJS.ErrnoException).code).toBe('ENOENT');
      return [];
    }
  });
}
