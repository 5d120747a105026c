import { constants as fsConstants } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { expect, test } from '@jest/globals';
import { InvalidSpecError } from '../../lib/errors.js';
import * as check from '../../lib/sys/check.js';
import * as sys from '../../lib/sys/index.js';
import { inChild } from '../helpers/sysChild.js';

test('a system call error has the shape and the text of Node', () => {
  const error = new sys.SyscallError(-osConstants.errno.EPERM, 'mount', { path: 'x' });
  expect(error).toBeInstanceOf(Error);
  expect(error.message).toBe("EPERM: operation not permitted, mount 'x'");
  expect({ ...error }).toMatchObject({ code: 'EPERM', errno: -1, syscall: 'mount', path: 'x' });
  expect('dest' in error).toBe(false);
});

test('an error names both paths, or what the call was about in place of a path', () => {
  const two = new sys.SyscallError(2, 'pivot_root', { path: '/a', dest: '/b' });
  expect(two.message).toBe("ENOENT: no such file or directory, pivot_root '/a' -> '/b'");
  expect(two.dest).toBe('/b');
  const about = new sys.SyscallError(-3, 'pidfd_open', { about: 'pid 7' });
  expect(about.message).toBe("ESRCH: no such process, pidfd_open 'pid 7'");
  expect('path' in about).toBe(false);
});

test('an errno that Node has no text for keeps its number', () => {
  const error = new sys.SyscallError(-4000, 'prctl');
  expect(error).toMatchObject({ code: 'E4000', errno: -4000 });
  expect(error.message).toBe('E4000: system error, prctl');
});

test('integers are checked against the range of their C type', () => {
  expect(check.u32('f.x', 0xffffffff)).toBe(0xffffffff);
  expect(check.u64('f.x', 2n ** 64n - 1n)).toBe(2n ** 64n - 1n);
  expect(check.u64('f.x', 7)).toBe(7n);
  expect(check.directory('f.x', sys.AT_FDCWD)).toBe(-100);
  const wrong: (() => unknown)[] = [
    () => check.u32('f.x', -1),
    () => check.u32('f.x', 2 ** 32),
    () => check.u32('f.x', 1.5),
    () => check.u32('f.x', Number.NaN),
    () => check.u32('f.x', '1' as unknown as number),
    () => check.natural('f.x', 2 ** 31),
    () => check.u64('f.x', 2n ** 64n),
    () => check.u64('f.x', -1),
    () => check.u64('f.x', 2 ** 53),
    () => check.descriptor('f.x', -1),
    () => check.directory('f.x', -1),
  ];
  for (const call of wrong) {
    expect(call).toThrow(InvalidSpecError);
    expect(call).toThrow(/^f\.x: expected /);
  }
});

const bytes = new Uint8Array(8);
const refused: [string, () => unknown][] = [
  ['mount.target', () => sys.mount(undefined, 'a\0b', undefined, 0)],
  ['mount.data', () => sys.mount('none', '/nowhere', 'tmpfs', 0, 'size=1\0')],
  ['mount.flags', () => sys.mount('none', '/nowhere', 'tmpfs', 2 ** 32)],
  ['umount2.target', () => sys.umount2('\0', 0)],
  ['pivotRoot.putOld', () => sys.pivotRoot('/', '\0')],
  ['fsopen.fsname', () => sys.fsopen('\0')],
  ['fsconfig.key', () => sys.fsconfig(0, sys.FsConfig.FSCONFIG_SET_FLAG, '\0')],
  ['fsconfig.key', () => sys.fsconfig(0, sys.FsConfig.FSCONFIG_SET_BINARY, undefined, bytes)],
  ['fsconfig.value', () => sys.fsconfig(0, sys.FsConfig.FSCONFIG_SET_BINARY, 'a', 'text')],
  ['fsconfig.value', () => sys.fsconfig(0, sys.FsConfig.FSCONFIG_SET_STRING, 'a', bytes)],
  ['moveMount.toPath', () => sys.moveMount(0, '', 0, '\0', 0)],
  ['openTree.dirfd', () => sys.openTree(-1, '/nowhere', 0)],
  ['mountSetattr.attrSet', () => sys.mountSetattr(0, '', 0, { attrSet: -1 })],
  ['unshare.flags', () => sys.unshare(-1)],
  ['setns.fd', () => sys.setns(-1, 0)],
  ['sethostname.name', () => sys.sethostname('a\0b')],
  ['pidfdOpen.pid', () => sys.pidfdOpen(-1)],
  ['pidfdSendSignal.signal', () => sys.pidfdSendSignal(0, 'SIGNONE' as NodeJS.Signals)],
  ['pidfdSendSignal.signal', () => sys.pidfdSendSignal(0, 65)],
  ['prctl.option', () => sys.prctl(15 as sys.PrctlOption)],
  ['prlimit.newLimit.soft', () => sys.prlimit(0, 7, { soft: -1n, hard: 0n })],
  ['capset.permitted', () => sys.capset({ effective: 0n, permitted: 2n ** 64n, inheritable: 0n })],
  ['seccompSetModeFilter.filter', () => sys.seccompSetModeFilter(0, new Uint8Array(7))],
  ['seccompSetModeFilter.filter', () => sys.seccompSetModeFilter(0, new Uint8Array(8 * 4097))],
  ['openat2.path', () => sys.openat2(sys.AT_FDCWD, '\0', { flags: 0 })],
  ['writeFile.path', () => sys.writeFile(undefined, '\0', '')],
  ['writeFile.data', () => sys.writeFile(undefined, '/nowhere', 7 as unknown as string)],
  ['memfdCreate.name', () => sys.memfdCreate('\0')],
  ['lockByte.offset', () => sys.lockByte(0, -1)],
  ['fstatfsMagic.file', () => sys.fstatfsMagic('\0')],
  ['setBlocking.fd', () => sys.setBlocking(-1)],
  ['setWindowSize.rows', () => sys.setWindowSize(0, 65536, 80)],
  ['close.fd', () => sys.close(-1)],
];

test.each(refused)('%s is refused before the call', (name, call) => {
  expect(call).toThrow(InvalidSpecError);
  expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION', option: name }));
});

test('open flags are those of this machine', () => {
  const shared = Object.entries(sys.OpenFlags).filter(([name]) => name in fsConstants);
  expect(shared.length).toBeGreaterThan(12);
  for (const [name, value] of shared) {
    expect([name, value]).toEqual([name, fsConstants[name as keyof typeof fsConstants]]);
  }
});

test('flags of one family are distinct', () => {
  const single = [sys.CloneFlags, sys.MountFlags, sys.UmountFlags, sys.MoveMount, sys.Resolve];
  for (const family of single) {
    const values = Object.values<number>(family);
    expect(values.reduce((all, value) => all | value, 0)).toBe(
      values.reduce((sum, value) => sum + value, 0),
    );
  }
});

test('on another system the import succeeds and the first call says why it cannot be', () => {
  const result = inChild(`
    Object.defineProperty(process, 'platform', { value: 'darwin' });
    report(code(() => sys.landlockAbi()));
  `);
  expect(result).toBe('ERR_UNSUPPORTED_PLATFORM');
});
