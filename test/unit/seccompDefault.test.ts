import { expect, test } from '@jest/globals';
import { abis, type Machine } from '../../lib/seccomp/abis.js';
import { allowed, gated } from '../../lib/seccomp/calls.js';
import { compileSeccomp } from '../../lib/seccomp/compile.js';
import { defaultProfile } from '../../lib/seccomp/default.js';
import { seccompOption } from '../../lib/seccomp/option.js';
import { parseSeccomp } from '../../lib/seccomp/profile.js';
import { capabilityNames } from '../../lib/spec/names.js';
import { Filter } from '../helpers/bpf.js';

const allow = 0x7fff0000;
const eperm = 0x00050001;
const enosys = 0x00050026;
const eprotonosupport = 0x0005005d;
const eafnosupport = 0x00050061;

const rules =
  'clone clone3 io_setup memfd_create mmap socket socketpair setsockopt setrlimit prlimit64 ioctl personality'.split(
    ' ',
  );

/** Calls that nobody gets, whatever the capabilities. */
const never = `
  add_key request_key keyctl io_uring_setup io_uring_enter io_uring_register userfaultfd
  init_module finit_module delete_module create_module query_module get_kernel_syms
  kexec_load kexec_file_load reboot swapon swapoff vmsplice memfd_secret modify_ldt lookup_dcookie
  lsm_set_self_attr remap_file_pages ustat sysfs uselib _sysctl nfsservctl vserver security tuxcall
  io_submit io_getevents io_pgetevents io_cancel io_destroy afs_syscall getpmsg putpmsg epoll_ctl_old epoll_wait_old set_thread_area get_thread_area
`
  .trim()
  .split(/\s+/);

/** What the default profile answers to a call of this machine's own ABI. */
function answers(machine: Machine, capabilities: readonly string[] = []) {
  const { filter } = compileSeccomp(defaultProfile({ capabilities }), { arch: machine });
  const run = new Filter(filter);
  const { audit, numbers } = abis[machine][0];
  return (name: string, ...args: bigint[]): number => {
    const nr = numbers.get(name);
    if (nr === undefined) throw new Error(`${machine} has no ${name}`);
    return run.run({ nr, arch: audit, args });
  };
}

const words = (text: string) => text.split(/\s+/);
const names = (machine: Machine) => [...abis[machine][0].numbers.keys()];
const allowedNames = allowed.flatMap(([, text]) => words(text));
const gatedNames = Object.values(gated).flatMap(words);

test('there is one decision about every call of both machines', () => {
  const decided = [...allowedNames, ...gatedNames, ...rules, ...never];
  const known = new Set([...names('x64'), ...names('arm64')]);
  expect([...known].filter((name) => !decided.includes(name))).toEqual([]);
  expect(decided.filter((name) => !known.has(name))).toEqual([]);
  const twice = decided.filter((name, i) => decided.indexOf(name) !== i);
  expect(twice.sort()).toEqual(['clone', 'clone3']);
});

test.each(['x64', 'arm64'] as const)('on %s each call gets what was decided', (machine) => {
  const answer = answers(machine);
  for (const name of names(machine)) {
    if (rules.includes(name)) continue;
    expect([name, answer(name)]).toEqual([name, allowedNames.includes(name) ? allow : eperm]);
  }
});

test.each(Object.entries(gated))('%s opens its calls and no others', (capability, text) => {
  const before = answers('x64');
  const after = answers('x64', [capability]);
  const opened = names('x64').filter((name) => before(name) !== after(name));
  const expected = words(text).filter((name) => name !== 'clone');
  expect(opened.sort()).toEqual(expected.sort());
  expect(expected.map((name) => after(name))).toEqual(expected.map(() => allow));
});

test('no set of capabilities opens what is never opened', () => {
  const answer = answers('x64', capabilityNames);
  const known = never.filter((name) => names('x64').includes(name));
  expect(known.length).toBeGreaterThan(30);
  expect(known.map((name) => answer(name))).toEqual(known.map(() => eperm));
  expect(Object.keys(gated).filter((name) => !capabilityNames.includes(name))).toEqual([]);
});

test('nobody takes the host its contexts of asynchronous I/O', () => {
  for (const machine of ['x64', 'arm64'] as const)
    expect(answers(machine, capabilityNames)('io_setup', 1n)).toBe(enosys);
});

test('memory is of ordinary pages', () => {
  const answer = answers('x64', capabilityNames);
  const [anonymous, huge] = [0x22n, 0x40000n];
  for (const high of [0n, 21n << 26n, 1n << 32n]) {
    expect(answer('mmap', 0n, 4096n, 3n, anonymous | high)).toBe(allow);
    expect(answer('mmap', 0n, 4096n, 3n, anonymous | huge | high)).toBe(0x0005000c);
    expect(answer('memfd_create', 0n, 3n | high)).toBe(allow);
    expect(answer('memfd_create', 0n, 5n | high)).toBe(enosys);
  }
});

test('clone makes threads and processes but no namespaces', () => {
  const answer = answers('x64');
  const threadFlags = 0x3d0f00n;
  expect(answer('clone', threadFlags)).toBe(allow);
  expect(answer('clone', 17n)).toBe(allow);
  for (const bit of [17n, 25n, 26n, 27n, 28n, 29n, 30n]) {
    expect(answer('clone', threadFlags | (1n << bit))).toBe(eperm);
    expect(answer('clone', (1n << bit) | (1n << 40n))).toBe(eperm);
  }
  expect(answer('clone3')).toBe(enosys);
  expect(answers('x64', ['CAP_SYS_ADMIN'])('clone', 1n << 28n)).toBe(allow);
});

test('sockets are of the network or of the own machine', () => {
  const answer = answers('arm64');
  for (const domain of [1n, 2n, 10n]) expect(answer('socket', domain, 1n, 0n)).toBe(allow);
  for (const protocol of [0n, 4n, 9n, 12n, 15n, 16n]) {
    expect(answer('socket', 16n, 3n, protocol)).toBe(eafnosupport);
  }
  for (const domain of [0n, 3n, 17n, 21n, 29n, 30n, 31n, 38n, 40n, 43n, 44n, 0xffffffffn]) {
    expect(answer('socket', domain, 3n, 0n)).toBe(eafnosupport);
    expect(answer('socket', domain | (1n << 32n), 3n, 0n)).toBe(eafnosupport);
  }
  for (const domain of [2n, 10n]) {
    for (const type of [1n, 2n, 3n, 0x80801n, (1n << 32n) | 2n])
      expect(answer('socket', domain, type, 0n)).toBe(allow);
    for (const [type, protocol] of [
      ...[0n, 4n, 5n, 6n, 10n, 15n].map((other) => [other, 0n] as const),
      ...[1n, 17n, 33n, 115n, 132n, 136n, 256n, 0xffffffffn].map((other) => [1n, other] as const),
      ...[6n, 33n, 115n, 132n, 136n, 256n, 262n].map((other) => [2n, other] as const),
    ])
      expect(answer('socket', domain, type, protocol)).toBe(eprotonosupport);
  }
  for (const protocol of [6n, 262n]) expect(answer('socket', 2n, 1n, protocol)).toBe(allow);
  for (const protocol of [1n, 17n, 58n]) expect(answer('socket', 10n, 2n, protocol)).toBe(allow);
  expect(answer('socketpair', 1n)).toBe(allow);
  expect(answer('socketpair', 30n)).toBe(eafnosupport);
  expect(answers('x64', ['CAP_NET_RAW'])('socket', 17n, 3n, 0n)).toBe(allow);
  expect(answers('x64', ['CAP_NET_ADMIN'])('socket', 16n, 3n, 12n)).toBe(allow);
  expect(answers('x64', ['CAP_NET_ADMIN'])('socket', 17n, 3n, 0n)).toBe(eafnosupport);
});

test('sockets take options but no filters', () => {
  const answer = answers('x64', capabilityNames);
  for (const option of [26n, 50n, 51n, 52n, (1n << 32n) | 26n])
    expect(answer('setsockopt', 3n, 1n, option)).toBe(eperm);
  expect(answer('setsockopt', 3n, 1n, 2n)).toBe(allow);
  expect(answer('setsockopt', 3n, 6n, 26n)).toBe(allow);
});

test.each([
  ['TIOCSTI', 0x5412n],
  ['TIOCLINUX', 0x541cn],
  ['TIOCSETD', 0x5423n],
])('ioctl %s is denied whatever its high word', (_, request) => {
  const answer = answers('x64', capabilityNames);
  expect(answer('ioctl', 0n, request)).toBe(eperm);
  expect(answer('ioctl', 0n, request | (1n << 32n))).toBe(eperm);
  expect(answer('ioctl', 0n, request | (0xffffffffn << 32n))).toBe(eperm);
});

test('other ioctls are allowed', () => {
  const answer = answers('x64');
  for (const request of [0x5401n, 0x5411n, 0x5413n, 0x541bn, 0x5421n]) {
    expect(answer('ioctl', 0n, request)).toBe(allow);
  }
});

test('the limit on core files can be read, not set', () => {
  const answer = answers('x64');
  expect(answer('setrlimit', 4n, 0x1000n)).toBe(eperm);
  expect(answer('setrlimit', 4n | (1n << 32n), 0x1000n)).toBe(eperm);
  expect(answer('setrlimit', 7n, 0x1000n)).toBe(allow);
  expect(answer('getrlimit', 4n, 0x1000n)).toBe(allow);
  expect(answer('prlimit64', 0n, 4n, 0x1000n, 0n)).toBe(eperm);
  expect(answer('prlimit64', 0n, 4n, 1n << 40n, 0n)).toBe(eperm);
  expect(answer('prlimit64', 0n, 4n | (1n << 32n), 0x1000n, 0n)).toBe(eperm);
  expect(answer('prlimit64', 0n, 4n, 0n, 0x1000n)).toBe(allow);
  expect(answer('prlimit64', 0n, 7n, 0x1000n, 0x1000n)).toBe(allow);
});

test('the limits of other processes can be read, not set: our init has the ids of the root', () => {
  const answer = answers('x64');
  expect(answer('prlimit64', 1n, 7n, 0n, 0x1000n)).toBe(allow);
  expect(answer('prlimit64', 1n, 7n, 0x1000n, 0n)).toBe(eperm);
});

test('personality takes the harmless values', () => {
  const answer = answers('x64');
  for (const persona of [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn, 2n ** 64n - 1n]) {
    expect(answer('personality', persona)).toBe(allow);
  }
  for (const persona of [0x40000n, 0x0100000n, 1n]) {
    expect(answer('personality', persona)).toBe(eperm);
  }
});

test('other ABIs and unknown numbers get ENOSYS', () => {
  const { filter } = compileSeccomp(defaultProfile(), { arch: 'x64' });
  const run = new Filter(filter);
  expect(run.run({ nr: 4, arch: 0x40000003 })).toBe(enosys);
  expect(run.run({ nr: 0x40000001, arch: 0xc000003e })).toBe(enosys);
  expect(run.run({ nr: 520, arch: 0xc000003e })).toBe(enosys);
  expect(run.run({ nr: 472, arch: 0xc000003e })).toBe(enosys);
});

test.each(['x64', 'arm64'] as const)('on %s the filter is small and shallow', (machine) => {
  for (const capabilities of [[], capabilityNames]) {
    const profile = defaultProfile({ capabilities });
    const { filter, instructions, unknownNames } = compileSeccomp(profile, { arch: machine });
    expect(instructions).toBeLessThan(600);
    // Architecture, number, a tree of at most 2^7 ranges, then up to 14 rules about socket.
    expect(new Filter(filter).longestPath()).toBeLessThan(90);
    expect(unknownNames).toEqual([]);
    expect(parseSeccomp(profile)).toEqual(profile);
  }
});

test('containers of the same capabilities share the default profile, which nobody can change', () => {
  const shared = seccompOption('default', ['CAP_CHOWN', 'CAP_KILL']);
  expect(seccompOption('default', ['CAP_KILL', 'CAP_CHOWN'])).toBe(shared);
  expect(shared).toEqual(defaultProfile({ capabilities: ['CAP_CHOWN', 'CAP_KILL'] }));
  expect(() => shared.syscalls?.push({ names: ['bpf'], action: 'SCMP_ACT_ALLOW' })).toThrow(
    TypeError,
  );
  expect(() => shared.syscalls?.[0]?.names.push('bpf')).toThrow(TypeError);
  expect(seccompOption('default', ['CAP_SYS_ADMIN'])).not.toEqual(shared);
});
