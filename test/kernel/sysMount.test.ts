import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as sys from '../../lib/sys/index.js';
import { hostMounts } from '../helpers/leaks.js';
import { linux, root, suite } from '../helpers/needs.js';
import { inChild } from '../helpers/sysChild.js';

const { AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE, FsConfig, MountAttr, OpenTree } = sys;
const { O_RDONLY, O_WRONLY, O_CREAT } = sys.OpenFlags;

/** A context in which a tmpfs has been created; the caller closes it. */
function tmpfs(parameters: Record<string, string> = {}): number {
  const context = sys.fsopen('tmpfs');
  for (const [key, value] of Object.entries(parameters)) {
    sys.fsconfig(context, FsConfig.FSCONFIG_SET_STRING, key, value);
  }
  sys.fsconfig(context, FsConfig.FSCONFIG_CMD_CREATE);
  return context;
}

function detachedTmpfs(parameters: Record<string, string> = {}, attributes = 0): number {
  const context = tmpfs(parameters);
  const mount = sys.fsmount(context, 0, attributes);
  sys.close(context);
  return mount;
}

function create(dirfd: number, path: string, mode = 0o600): void {
  sys.close(sys.openat2(dirfd, path, { flags: O_WRONLY | O_CREAT, mode }));
}

function isMountPoint(path: string): boolean {
  const lines = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.some((line) => line.split(' ')[4] === path);
}

suite('sys: mounts', [linux, root], () => {
  let dir = '';

  beforeAll(() => {
    dir = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ringfort-sys-')));
  });

  afterAll(() => {
    fs.rmSync(dir, { recursive: true });
  });

  test('a detached tmpfs is usable through its descriptor and seen by nobody else', () => {
    const before = hostMounts();
    const mount = detachedTmpfs({ size: '64k', mode: '0751' });
    expect(sys.fstatfsMagic(mount)).toBe(sys.FsMagic.TMPFS_MAGIC);
    expect(fs.fstatSync(mount).mode & 0o7777).toBe(0o751);
    create(mount, 'file');
    sys.writeFile(mount, 'file', 'content');
    const fd = sys.openat2(mount, 'file', { flags: O_RDONLY });
    expect(fs.readFileSync(fd, 'utf8')).toBe('content');
    sys.close(fd);
    sys.close(mount);
    expect(hostMounts()).toEqual(before);
  });

  test('writeFile to a file system that is full is EIO for the part, ENOSPC for nothing', () => {
    const mount = detachedTmpfs({ size: '4096' });
    create(mount, 'file');
    create(mount, 'next');
    expect(() => sys.writeFile(mount, 'file', new Uint8Array(8192))).toThrow(
      expect.objectContaining({ code: 'EIO', syscall: 'write', path: 'file' }),
    );
    expect(() => sys.writeFile(mount, 'next', 'x')).toThrow(
      expect.objectContaining({ code: 'ENOSPC', syscall: 'write', path: 'next' }),
    );
    sys.close(mount);
  });

  test('fsconfig refuses what the type does not take, and the descriptor says why', () => {
    const context = sys.fsopen('tmpfs');
    expect(() => sys.fsconfig(context, FsConfig.FSCONFIG_SET_STRING, 'colour', 'red')).toThrow(
      expect.objectContaining({
        code: 'EINVAL',
        syscall: 'fsconfig',
        message: "EINVAL: invalid argument, fsconfig 'colour'",
      }),
    );
    const message = Buffer.alloc(256);
    const length = fs.readSync(context, message);
    expect(message.toString('utf8', 0, length)).toMatch(/^e .*colour/);
    expect(() =>
      sys.fsconfig(context, FsConfig.FSCONFIG_SET_BINARY, 'size', Uint8Array.of(1, 2)),
    ).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    sys.close(context);
    expect(() => sys.fsopen('nosuchfs')).toThrow(
      expect.objectContaining({
        code: 'ENODEV',
        message: "ENODEV: no such device, fsopen 'nosuchfs'",
      }),
    );
  });

  test('fsmount takes mount attributes', () => {
    const mount = detachedTmpfs({}, MountAttr.MOUNT_ATTR_RDONLY);
    expect(() => create(mount, 'file')).toThrow(expect.objectContaining({ code: 'EROFS' }));
    sys.close(mount);
  });

  test('a copy of a tree can be made read-only while the original is not', () => {
    const tree = sys.openTree(AT_FDCWD, dir, OpenTree.OPEN_TREE_CLONE | AT_RECURSIVE);
    sys.mountSetattr(tree, '', AT_EMPTY_PATH | AT_RECURSIVE, {
      attrSet: MountAttr.MOUNT_ATTR_RDONLY,
      propagation: sys.MountFlags.MS_PRIVATE,
    });
    expect(() => create(tree, 'file')).toThrow(
      expect.objectContaining({ code: 'EROFS', syscall: 'openat2', path: 'file' }),
    );
    expect(isMountPoint(dir)).toBe(false);
    fs.writeFileSync(join(dir, 'file'), '');
    sys.mountSetattr(tree, '', AT_EMPTY_PATH, { attrClr: MountAttr.MOUNT_ATTR_RDONLY });
    create(tree, 'second');
    sys.close(tree);
    expect(fs.readdirSync(dir).sort()).toEqual(['file', 'second']);
  });

  test('mountSetattr maps owners through a user namespace', async () => {
    const child = spawn('unshare', ['-U', 'sh', '-c', 'echo in; cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const exit = once(child, 'exit');
    sys.writeFile(undefined, `/proc/${child.pid}/uid_map`, '0 100000 10');
    sys.writeFile(undefined, `/proc/${child.pid}/gid_map`, '0 200000 10');
    const usernsFd = fs.openSync(`/proc/${child.pid}/ns/user`, 'r');
    const ordinary = sys.memfdCreate('not a namespace');
    // Not a tmpfs, which takes owner maps since Linux 6.3 only.
    const mount = sys.openTree(AT_FDCWD, dir, OpenTree.OPEN_TREE_CLONE);
    sys.mountSetattr(mount, '', AT_EMPTY_PATH, {
      attrSet: MountAttr.MOUNT_ATTR_IDMAP,
      usernsFd,
    });
    expect(fs.fstatSync(mount)).toMatchObject({ uid: 100000, gid: 200000 });
    expect(() =>
      sys.mountSetattr(mount, '', AT_EMPTY_PATH, {
        attrSet: MountAttr.MOUNT_ATTR_IDMAP,
        usernsFd: ordinary,
      }),
    ).toThrow(expect.objectContaining({ code: 'EINVAL', syscall: 'mount_setattr', path: '' }));
    for (const fd of [mount, usernsFd, ordinary]) sys.close(fd);
    child.stdin.end();
    expect(await exit).toEqual([0, null]);
  });

  test('every descriptor of the mount calls is close-on-exec', () => {
    const context = tmpfs();
    const mount = sys.fsmount(context);
    const tree = sys.openTree(mount, '', AT_EMPTY_PATH);
    for (const fd of [context, mount, tree]) {
      const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
      const flags = Number.parseInt(/^flags:\s*(\d+)$/m.exec(info)?.[1] ?? '', 8);
      expect(flags & sys.OpenFlags.O_CLOEXEC).not.toBe(0);
      sys.close(fd);
    }
  });

  test('failed calls name their paths', () => {
    const missing = join(dir, 'missing');
    expect(() => sys.umount2(missing, 0)).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'umount2', path: missing }),
    );
    expect(() => sys.mount('none', missing, 'tmpfs', 0)).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'mount', path: 'none', dest: missing }),
    );
    expect(() => sys.mount(undefined, missing, undefined, sys.MountFlags.MS_PRIVATE)).toThrow(
      expect.objectContaining({ code: 'ENOENT', path: missing }),
    );
    expect(() => sys.pivotRoot(missing, dir)).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'pivot_root', path: missing, dest: dir }),
    );
    expect(() => sys.moveMount(AT_FDCWD, missing, AT_FDCWD, dir, 0)).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'move_mount', path: missing, dest: dir }),
    );
    expect(() => sys.openTree(AT_FDCWD, missing, 0)).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'open_tree', path: missing }),
    );
    const ordinary = sys.memfdCreate('not a context');
    expect(() => sys.fsmount(ordinary)).toThrow(
      expect.objectContaining({ code: 'EINVAL', syscall: 'fsmount' }),
    );
    sys.close(ordinary);
  });

  test('mount, moveMount, umount2 and pivotRoot build a root in a namespace of its own', () => {
    const target = join(dir, 'root');
    fs.mkdirSync(target);
    const result = inChild(
      `const target = process.argv[1];
      const { MountFlags, FsConfig } = sys;
      sys.unshare(sys.CloneFlags.CLONE_NEWNS);
      sys.mount(undefined, '/', undefined, MountFlags.MS_REC | MountFlags.MS_PRIVATE);
      sys.mount('none', target, 'tmpfs', MountFlags.MS_NOSUID, 'mode=0700');
      fs.mkdirSync(target + '/old');
      fs.mkdirSync(target + '/inner');
      const context = sys.fsopen('tmpfs');
      sys.fsconfig(context, FsConfig.FSCONFIG_CMD_CREATE);
      const inner = sys.fsmount(context);
      sys.close(sys.openat2(inner, 'deep', { flags: sys.OpenFlags.O_CREAT, mode: 0o600 }));
      sys.moveMount(inner, '', sys.AT_FDCWD, target + '/inner', sys.MoveMount.MOVE_MOUNT_F_EMPTY_PATH);
      sys.close(inner);
      const attached = fs.readdirSync(target + '/inner');
      sys.pivotRoot(target, target + '/old');
      process.chdir('/');
      const old = fs.readdirSync('/old').includes('proc');
      sys.umount2('/old', sys.UmountFlags.MNT_DETACH);
      sys.umount2('/inner', 0);
      report({ attached, old, root: fs.readdirSync('/'), inner: fs.readdirSync('/inner') });`,
      [target],
    );
    expect(result).toEqual({ attached: ['deep'], old: true, root: ['inner', 'old'], inner: [] });
    expect(isMountPoint(target)).toBe(false);
    expect(fs.readdirSync(target)).toEqual([]);
  });
});
