import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { WriteStream } from 'node:tty';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as sys from '../../lib/sys/index.js';
import { linux, suite } from '../helpers/needs.js';
import { inChild } from '../helpers/sysChild.js';

const { O_RDONLY, O_WRONLY, O_CREAT, O_PATH, O_DIRECTORY, O_NONBLOCK } = sys.OpenFlags;

function openFds(): string[] {
  return fs.readdirSync('/proc/self/fd');
}

/** Whether a descriptor is close-on-exec; closes it. */
function closesOnExec(fd: number): boolean {
  const flags = /^flags:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
  sys.close(fd);
  return (Number.parseInt(flags ?? '', 8) & sys.OpenFlags.O_CLOEXEC) !== 0;
}

suite('sys: files', [linux], () => {
  let dir = '';
  let dirFd = -1;

  beforeAll(() => {
    dir = fs.mkdtempSync(join(tmpdir(), 'ringfort-sys-'));
    dirFd = sys.openat2(sys.AT_FDCWD, dir, { flags: O_PATH | O_DIRECTORY });
  });

  afterAll(() => {
    sys.close(dirFd);
    fs.rmSync(dir, { recursive: true });
  });

  test('openat2 RESOLVE_IN_ROOT keeps a link that points out of the root inside', () => {
    fs.mkdirSync(join(dir, 'etc'));
    fs.writeFileSync(join(dir, 'etc/secret'), 'inside');
    fs.symlinkSync('/etc/secret', join(dir, 'absolute'));
    fs.symlinkSync('../../../../../../etc/secret', join(dir, 'dots'));
    for (const path of ['absolute', 'dots', '/etc/secret']) {
      const fd = sys.openat2(dirFd, path, {
        flags: O_RDONLY,
        resolve: sys.Resolve.RESOLVE_IN_ROOT | sys.Resolve.RESOLVE_NO_MAGICLINKS,
      });
      expect(fs.readFileSync(fd, 'utf8')).toBe('inside');
      sys.close(fd);
    }
  });

  test('openat2 refuses paths that break its rule', () => {
    fs.symlinkSync('/etc', join(dir, 'out'));
    const resolving = (resolve: number) => () =>
      sys.openat2(dirFd, 'out/passwd', { flags: O_RDONLY, resolve });
    expect(resolving(sys.Resolve.RESOLVE_BENEATH)).toThrow(
      expect.objectContaining({ code: 'EXDEV', syscall: 'openat2', path: 'out/passwd' }),
    );
    expect(resolving(sys.Resolve.RESOLVE_NO_SYMLINKS)).toThrow(
      expect.objectContaining({ code: 'ELOOP' }),
    );
  });

  test('openat2 makes a file with exactly the mode it was given, less the umask', () => {
    const fd = sys.openat2(dirFd, 'made', { flags: O_WRONLY | O_CREAT, mode: 0o640 });
    expect(fs.fstatSync(fd).mode & 0o777).toBe(0o640 & ~process.umask());
    sys.close(fd);
    const modeWithoutCreate = () => sys.openat2(dirFd, 'made', { flags: O_RDONLY, mode: 0o600 });
    expect(modeWithoutCreate).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });

  test('a failed call is an error like those of node:fs', () => {
    const path = join(dir, 'missing');
    let nodes: NodeJS.ErrnoException = new Error('node:fs did not throw');
    try {
      fs.openSync(path, 'r');
    } catch (error) {
      nodes = error as NodeJS.ErrnoException;
    }
    const { code, errno } = nodes;
    expect(() => sys.openat2(sys.AT_FDCWD, path, { flags: O_RDONLY })).toThrow(
      expect.objectContaining({
        code,
        errno,
        path,
        syscall: 'openat2',
        message: nodes.message.replace(', open ', ', openat2 '),
      }),
    );
  });

  test('every descriptor that is returned is close-on-exec', () => {
    const fds = [
      sys.openat2(dirFd, '.', { flags: O_RDONLY }),
      sys.memfdCreate('test'),
      ...sys.pipe2(),
      ...sys.socketpair(sys.SocketType.SOCK_STREAM),
      sys.pidfdOpen(process.pid),
    ];
    expect(fds.map(closesOnExec)).toEqual(fds.map(() => true));
  });

  test('writeFile writes over the start of a file, neither truncating nor creating', () => {
    const path = join(dir, 'file');
    fs.writeFileSync(path, 'abcdef');
    sys.writeFile(dirFd, 'file', 'XY');
    expect(fs.readFileSync(path, 'utf8')).toBe('XYcdef');
    sys.writeFile(undefined, path, Uint8Array.of(0x5a));
    expect(fs.readFileSync(path, 'utf8')).toBe('ZYcdef');
    expect(() => sys.writeFile(dirFd, 'absent', 'x')).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'openat', path: 'absent' }),
    );
    expect(fs.existsSync(join(dir, 'absent'))).toBe(false);
  });

  test('writeFile reports what the kernel says to the write, and leaves nothing open', () => {
    const before = openFds();
    expect(() => sys.writeFile(undefined, '/proc/self/oom_score_adj', 'lots')).toThrow(
      expect.objectContaining({
        code: 'EINVAL',
        syscall: 'write',
        path: '/proc/self/oom_score_adj',
      }),
    );
    expect(openFds()).toEqual(before);
  });

  test('a write that took only a part is EIO and is not continued', () => {
    const path = join(dir, 'short');
    fs.writeFileSync(path, '');
    // a second write would be refused by the limit: EFBIG
    const result = inChild(
      `const path = process.argv[1];
      const { hard } = sys.prlimit(0, sys.Rlimit.RLIMIT_FSIZE);
      sys.prlimit(0, sys.Rlimit.RLIMIT_FSIZE, { soft: 4n, hard });
      report(code(() => sys.writeFile(undefined, path, '0123456789')));`,
      [path],
    );
    expect(result).toBe('EIO');
    expect(fs.readFileSync(path, 'utf8')).toBe('0123');
  });

  test('memfdCreate makes a file without a name', () => {
    const fd = sys.memfdCreate('some-name');
    fs.writeSync(fd, 'text', 0);
    expect(fs.fstatSync(fd)).toMatchObject({ size: 4, nlink: 0 });
    expect(fs.readlinkSync(`/proc/self/fd/${fd}`)).toBe('/memfd:some-name (deleted)');
    sys.close(fd);
  });

  test('lockByte locks one byte for one open file description', () => {
    const path = join(dir, 'locks');
    const [one, other] = [fs.openSync(path, 'a+'), fs.openSync(path, 'a+')];
    expect(sys.lockByte(one, 7)).toBe(true);
    expect(sys.lockByte(one, 7)).toBe(true);
    expect(sys.lockByte(other, 7)).toBe(false);
    expect(sys.lockByte(other, 6)).toBe(true);
    expect(sys.lockByte(other, 8)).toBe(true);
    expect([6, 7, 8, 9].map((at) => sys.isByteLocked(one, at))).toEqual([true, false, true, false]);
    expect([6, 7, 8, 9].map((at) => sys.isByteLocked(other, at))).toEqual([
      false,
      true,
      false,
      false,
    ]);
    sys.unlockByte(one, 7);
    expect(sys.lockByte(other, 7)).toBe(true);
    sys.close(other);
    expect(sys.lockByte(one, 6)).toBe(true);
    const reading = fs.openSync(path, 'r');
    expect(sys.isByteLocked(reading, 6)).toBe(true);
    sys.close(one);
    expect(sys.isByteLocked(reading, 6)).toBe(false);
    expect(() => sys.lockByte(reading, 0)).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'fcntl' }),
    );
    sys.close(reading);
  });

  test('lockByte with wait returns when the holder has let go', async () => {
    const path = join(dir, 'awaited');
    const fd = fs.openSync(path, 'a+');
    expect(sys.lockByte(fd, 2 ** 40)).toBe(true);
    const url = new URL('../../lib/sys/index.js', import.meta.url).href;
    const child = spawn(process.execPath, [
      '--input-type=module',
      '--eval',
      `import { lockByte } from '${url}';
      import { openSync, writeSync } from 'node:fs';
      writeSync(1, String(lockByte(openSync('${path}', 'a+'), 2 ** 40, true)));`,
    ]);
    const output = text(child.stdout);
    const exit = once(child, 'exit');
    const waiting = `-> OFDLCK ADVISORY  WRITE -1 `;
    const inode = `:${fs.fstatSync(fd).ino} ${2 ** 40}`;
    const blocked = () =>
      fs
        .readFileSync('/proc/locks', 'utf8')
        .split('\n')
        .some((line) => line.includes(waiting) && line.includes(inode));
    while (!blocked() && child.exitCode === null) await sleep(5);
    expect(child.exitCode).toBeNull();
    sys.unlockByte(fd, 2 ** 40);
    expect(await exit).toEqual([0, null]);
    expect(await output).toBe('true');
    sys.close(fd);
  });

  test('pipe2 and socketpair return connected ends', () => {
    const [read, write] = sys.pipe2(O_NONBLOCK);
    expect(() => fs.readSync(read, Buffer.alloc(1))).toThrow(
      expect.objectContaining({ code: 'EAGAIN' }),
    );
    fs.writeSync(write, 'x');
    expect(fs.readSync(read, Buffer.alloc(8))).toBe(1);
    const [left, right] = sys.socketpair(sys.SocketType.SOCK_SEQPACKET);
    fs.writeSync(left, 'one');
    fs.writeSync(left, 'three');
    expect(fs.readSync(right, Buffer.alloc(64))).toBe(3);
    expect(fs.readSync(right, Buffer.alloc(64))).toBe(5);
    for (const fd of [read, write, left, right]) sys.close(fd);
  });

  test('setBlocking takes O_NONBLOCK from an open file', () => {
    const [read, write] = sys.pipe2(O_NONBLOCK);
    const flags = () =>
      /^flags:.*$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${read}`, 'utf8'))?.[0];
    const before = flags();
    sys.setBlocking(read);
    expect(before).toMatch(/4[0-7]{3}$/);
    expect(flags()).toMatch(/0[0-7]{3}$/);
    for (const fd of [read, write]) sys.close(fd);
    expect(() => sys.setBlocking(read)).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'fcntl' }),
    );
  });

  test('setWindowSize is seen on the other side of the terminal', () => {
    // No process has it as its terminal, so that nobody gets SIGWINCH.
    const master = fs.openSync('/dev/ptmx', fs.constants.O_RDWR | fs.constants.O_NOCTTY);
    sys.setWindowSize(master, 40, 120);
    const terminal = new WriteStream(master);
    expect(terminal.getWindowSize()).toEqual([120, 40]);
    terminal.destroy();
    const ordinary = sys.memfdCreate('no terminal');
    expect(() => sys.setWindowSize(ordinary, 40, 120)).toThrow(
      expect.objectContaining({ code: 'ENOTTY', syscall: 'ioctl' }),
    );
    sys.close(ordinary);
  });

  test('fstatfsMagic tells file systems apart, by path and by descriptor', () => {
    expect(sys.fstatfsMagic('/proc')).toBe(sys.FsMagic.PROC_SUPER_MAGIC);
    const fd = fs.openSync('/proc/self/ns/uts', 'r');
    expect(sys.fstatfsMagic(fd)).toBe(sys.FsMagic.NSFS_MAGIC);
    sys.close(fd);
    expect(() => sys.fstatfsMagic(fd)).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'fstatfs' }),
    );
    expect(() => sys.fstatfsMagic('/no/such')).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'statfs', path: '/no/such' }),
    );
  });

  test('close closes, once', () => {
    const fd = sys.memfdCreate('closed');
    sys.close(fd);
    expect(() => sys.close(fd)).toThrow(
      expect.objectContaining({ code: 'EBADF', errno: -9, syscall: 'close' }),
    );
  });
});
