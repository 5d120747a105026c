import { expect, test } from '@jest/globals';
import { abis, isKnownCall } from '../../lib/seccomp/abis.js';

/** Numbers from the manuals, each where a slip of the tables by one line would show. */
const facts: Record<string, [machine: 'x64' | 'arm64', numbers: Record<string, number>]> = {
  SCMP_ARCH_X86_64: [
    'x64',
    {
      read: 0,
      ioctl: 16,
      clone: 56,
      prctl: 157,
      openat: 257,
      prlimit64: 302,
      rseq: 334,
      uprobe: 336,
    },
  ],
  SCMP_ARCH_X32: [
    'x64',
    { read: 0x40000000, ioctl: 0x40000202, openat: 0x40000101, pwritev2: 0x40000223 },
  ],
  SCMP_ARCH_X86: [
    'x64',
    {
      restart_syscall: 0,
      read: 3,
      ioctl: 54,
      socketcall: 102,
      openat: 295,
      socket: 359,
      rseq: 386,
    },
  ],
  SCMP_ARCH_AARCH64: [
    'arm64',
    { io_setup: 0, ioctl: 29, openat: 56, read: 63, clone: 220, prlimit64: 261, rseq: 293 },
  ],
  SCMP_ARCH_ARM: [
    'arm64',
    { read: 3, ioctl: 54, openat: 322, sync_file_range2: 341, rseq: 398, set_tls: 983045 },
  ],
};

test.each(Object.entries(facts))('%s has the numbers of the kernel', (name, [machine, numbers]) => {
  const abi = abis[machine].find((each) => each.name === name);
  const found = Object.keys(numbers).map((call) => [call, abi?.numbers.get(call)]);
  expect(found).toEqual(Object.entries(numbers));
});

test('every ABI has the newer calls under one number', () => {
  for (const abi of [...abis.x64, ...abis.arm64]) {
    expect(abi.numbers.get('pidfd_send_signal')).toBe(abi.base + 424);
    expect(abi.numbers.get('process_mrelease')).toBe(abi.base + 448);
    expect(abi.numbers.get('mseal')).toBe(abi.base + 462);
    expect(abi.numbers.get('rseq_slice_yield')).toBe(abi.base + 471);
    expect(abi.numbers.has('memfd_secret')).toBe(abi.name !== 'SCMP_ARCH_ARM');
  }
});

test('tables hold whole numbers only, each name once', () => {
  for (const abi of [...abis.x64, ...abis.arm64]) {
    expect(
      [...abi.numbers].filter(([name, nr]) => !/^[a-z0-9_]+$/.test(name) || !(nr >= 0)),
    ).toEqual([]);
    expect(abi.numbers.size).toBeGreaterThan(320);
  }
});

test('a name is known if any ABI has it', () => {
  expect(isKnownCall('_newselect')).toBe(true);
  expect(isKnownCall('cacheflush')).toBe(true);
  expect(isKnownCall('raed')).toBe(false);
});
