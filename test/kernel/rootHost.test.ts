import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { during, output, sh, type TextOptions } from '../helpers/containers.js';
import { hostMounts } from '../helpers/leaks.js';
import { cgroups, command, linux, manyIds, root, suite } from '../helpers/needs.js';

const lines = (text: string) => text.split('\n').filter((line) => line !== '');

/** Mount point, options and type of every line of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
function parseMounts(text: string) {
  return lines(text).map((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , from = '', point = '', options = '', ...optional] = before.split(' ');
    return { from, point, options: options.split(','), optional, type: after.split(' ')[0] };
  });
}

suite('the host root', [linux, cgroups], () => {
  test('shows the system and private directories, and nothing else of the host', async () => {
    const names = lines(await sh('ls -A /'));
    const system = ['bin', 'lib', 'lib32', 'lib64', 'libx32', 'sbin', 'usr'];
    const expected = [...system.filter((name) => existsSync(`/${name}`)), 'dev', 'etc', 'proc'];
    expect(names.sort()).toEqual([...expected, 'root', 'run', 'sys', 'tmp', 'var'].sort());
    expect(await sh('ls -A /root /run /tmp /var /var/tmp /dev/shm')).toBe(
      '/dev/shm:\n\n/root:\n\n/run:\n\n/tmp:\n\n/var:\ntmp\n\n/var/tmp:\n',
    );
    for (const hidden of ['/etc/shadow', '/etc/ssh', '/home', '/srv', '/var/lib', '/boot'])
      expect(await output(`ls -d ${hidden}`)).toContain('No such file');
  });

  test('only the private directories can be written', async () => {
    const closed = [
      '/',
      '/etc',
      '/usr',
      '/usr/lib',
      '/var',
      '/dev/pts',
      '/sys',
      '/proc/sys/kernel',
    ];
    const out = lines(await output(closed.map((path) => `(: > ${path}/x)`).join(';')));
    expect(out).toHaveLength(closed.length);
    for (const line of out)
      expect(line).toMatch(/Read-only file system|Permission denied|nonexistent|No such file/);
    const open = ['/tmp', '/var/tmp', '/run', '/root', '/dev/shm'];
    const script = open.map((path) => `echo ${path} > ${path}/x; cat ${path}/x`).join(';');
    expect(lines(await sh(script))).toEqual(open);
    expect(await sh('find /tmp /var/tmp /run /root /dev/shm -type f')).toBe('');
  });

  test('the root is its own parent, and no mount of the host is above or beside it', async () => {
    expect(await sh('[ / -ef /.. ] && [ / -ef /../../.. ] && echo same')).toBe('same\n');
    const mounts = parseMounts(await sh('cat /proc/self/mountinfo'));
    const known =
      /^(\/|\/usr|\/(bin|sbin|lib\w*)|\/etc\/[\w.-]+|\/usr\/.+|\/(proc|sys|dev|tmp|run|root|var\/tmp)(\/.*)?)$/;
    for (const { from, point, options, optional, type } of mounts) {
      expect(point).toMatch(known);
      expect(optional).toEqual([]); // shared or slave would let mounts travel
      expect(options).toContain('nosuid');
      if (point !== '/dev/pts' && !point.startsWith('/dev/') && type !== 'devtmpfs')
        if (point !== '/dev') expect(options).toContain('nodev');
      if (from !== '/' && type !== 'proc' && type !== 'tmpfs') expect(options).toContain('ro');
    }
    const writable = mounts.filter(({ options }) => options.includes('rw'));
    expect(writable.map(({ point }) => point).sort()).toEqual(
      [
        ...['/dev', '/dev/mqueue', '/dev/pts', '/dev/shm', '/proc'],
        ...['/root', '/run', '/tmp', '/var/tmp'],
      ].sort(),
    );
  });

  test("the host's mounts are the same before, during and after", async () => {
    const before = hostMounts();
    await during({}, () => {
      expect(hostMounts()).toEqual(before);
    });
    expect(hostMounts()).toEqual(before);
  });

  test('/dev is the minimum, and works', async () => {
    const list = 'cd /dev; stat -c "%n %F %t:%T" *; readlink fd stdin stdout stderr ptmx';
    expect(lines(await sh(list))).toEqual([
      'fd symbolic link 0:0',
      'full character special file 1:7',
      'mqueue directory 0:0',
      'null character special file 1:3',
      'ptmx symbolic link 0:0',
      'pts directory 0:0',
      'random character special file 1:8',
      'shm directory 0:0',
      'stderr symbolic link 0:0',
      'stdin symbolic link 0:0',
      'stdout symbolic link 0:0',
      'tty character special file 5:0',
      'urandom character special file 1:9',
      'zero character special file 1:5',
      ...['/proc/self/fd', '/proc/self/fd/0', '/proc/self/fd/1', '/proc/self/fd/2', 'pts/ptmx'],
    ]);
    const use = `exec 2>&1; echo gone > /dev/null; wc -c < /dev/null; head -c 3 /dev/zero | od -An -tx1
      head -c 8 /dev/urandom | wc -c; head -c 8 /dev/random | wc -c
      (echo > /dev/full); (: < /dev/tty); echo out > /dev/stdout; : < /dev/ptmx; ls /dev/pts`;
    expect(await sh(use)).toMatch(
      /^0\n 00 00 00\n8\n8\nsh: .*echo: I\/O error\nsh: .*tty: No such device.*\nout\nptmx\n$/,
    );
    const change = 'chmod 600 /dev/null; touch -d @0 /dev/zero; rm /dev/full; mknod /dev/x c 1 3';
    expect(lines(await output(`${change}; ls /dev | wc -l`)).at(-1)).toBe('14');
  });

  test('masked paths are empty, and those that steer the kernel are closed', async () => {
    expect(await sh('cat /proc/keys /proc/timer_list /proc/interrupts; ls /sys/firmware')).toBe('');
    const steering = [
      ...['/proc/sys/kernel/hostname', '/proc/sys/net/ipv4/ip_forward', '/proc/sys/vm/drop_caches'],
      ...['/proc/sys/kernel/core_pattern', '/sys/kernel/uevent_helper'],
    ].filter((path) => existsSync(path));
    for (const path of steering)
      expect(await output(`echo x > ${path}`)).toMatch(/Read-only file system|Permission denied/);
    // What the kernel has of the first is covered by a /dev/null.
    expect(await output('cat /proc/kcore')).toMatch(/^$|No such file/);
    for (const path of ['/proc/sysrq-trigger', '/proc/kmsg', '/dev/kmsg', '/dev/mem'])
      expect(await output(`cat ${path}; echo x > ${path}`)).toMatch(
        /^(cat: .*(denied|permitted|No such file).*\n)?.*(Read-only|denied|nonexistent|No such)/,
      );
    expect(await sh('ls /sys/fs/cgroup; find / -name release_agent 2>&- || true')).toBe('');
  });

  test('names are the container’s own', async () => {
    const options = { hostname: 'judge-7', domainname: 'example.org' };
    const script = 'hostname; cat /etc/hostname /proc/sys/kernel/domainname /etc/hosts; id -un';
    expect(await sh(script, options)).toBe(
      'judge-7\njudge-7\nexample.org\n127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tjudge-7\nroot\n',
    );
    expect(await sh('grep -c nameserver /etc/resolv.conf || true')).toBe('0\n');
    const host = existsSync('/etc/resolv.conf') ? readFileSync('/etc/resolv.conf', 'utf8') : '';
    if (host !== '') expect(await sh('cat /etc/resolv.conf', { network: 'host' })).toBe(host);
    expect(await sh('hostname')).toMatch(/^[0-9a-f]{12}\n$/);
  });

  test('the home is that of the user, and is where the program starts', async () => {
    expect(await sh('pwd; stat -c "%a %u" .')).toBe('/root\n700 0\n');
  });

  suite('and other users', [manyIds], () => {
    test('have a home of their own', async () => {
      expect(await sh('pwd; touch x; stat -c "%a %u" . x', { uid: 1234, gid: 1234 })).toBe(
        '/home/user\n700 1234\n644 1234\n',
      );
    });
  });
});

suite('the host root and CAP_SYS_ADMIN', [linux, cgroups, root, command('mount')], () => {
  let directory: string;
  const file = () => join(directory, 'file');
  const admin: TextOptions = {
    capabilities: ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_CHOWN'],
    seccomp: 'unconfined',
    landlock: 'off',
  };
  beforeAll(() => {
    directory = mkdtempSync('/usr/local/share/ringfort-test-');
    chmodSync(directory, 0o777);
    writeFileSync(file(), 'sentinel');
    chmodSync(file(), 0o666);
    mkdirSync(join(directory, 'sub'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test('a world-writable file of the host stays as it is, remounted or not', async () => {
    const write = `echo x > ${file()}; echo x > ${directory}/new; rm ${file()}; chmod 0 ${file()}`;
    expect(lines(await output(write))).toHaveLength(4);
    const remounts = `for at in /usr / ${directory}; do
      mount -o remount,rw $at; mount -o remount,bind,rw $at; done
      mount -t tmpfs none /tmp; mkdir /tmp/d; mount --bind /usr /tmp/d; mount -o remount,bind,rw /tmp/d`;
    const out = await output(`${remounts}; ${write}; echo x > /tmp/d${file().slice(4)}`, admin);
    expect(out).toContain('Read-only file system');
    expect(readFileSync(file(), 'utf8')).toBe('sentinel');
    expect(readdirSync(directory).sort()).toEqual(['file', 'sub']);
  });

  test('the host is not behind what can be unmounted', async () => {
    const strip = 'cd /; for i in 1 2 3; do umount -l /usr /etc/* /proc/* /proc /sys / 2>&-; done';
    const out = await output(`${strip}; echo /* /../*`, admin);
    expect(out).not.toContain('/home');
    expect(out).toMatch(/\/tmp/);
  });

  test('programs still run, and secrets of the host stay closed', async () => {
    expect(await sh('cat /usr/lib/os-release | head -c 1 | wc -c', admin)).toBe('1\n');
    const secret = join(directory, 'secret');
    writeFileSync(secret, 'secret', { mode: 0o600 });
    expect(await output(`cat ${secret}`, admin)).toContain('Permission denied');
    expect(await output(`cat ${secret}`)).toContain('Permission denied');
  });
});
