import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RunOptions } from '../../lib/options.js';
import { run } from '../../lib/run.js';
import { refusal, sh, type TextOptions } from '../helpers/containers.js';
import { cgroups, linux, suite, x64 } from '../helpers/needs.js';
import { buildProbe, staticCompiler } from '../helpers/probe.js';

/** Attempts that the default filter must stop, and the errno that it stops them with. */
const denied: [string, string][] = [
  ['unshare 0x10000000', 'EPERM'],
  ['unshare 0x00020000', 'EPERM'],
  ['clone 0x10000000', 'EPERM'],
  ['clone 0x40000000', 'EPERM'],
  ['mount', 'EPERM'],
  ['keyctl', 'EPERM'],
  ['ptrace 1', 'EPERM'],
  ['tiocsti', 'EPERM'],
  ['tiocsti-high', 'EPERM'],
  ['tioclinux', 'EPERM'],
  ['tioclinux-high', 'EPERM'],
  ['personality 0x0040000', 'EPERM'],
  ['prlimit 4 0', 'EPERM'],
];

/** Numbers of x86_64: bpf, perf_event_open, io_uring_setup, userfaultfd and others. */
const deniedNumbers = {
  add_key: 248,
  bpf: 321,
  finit_module: 313,
  io_uring_setup: 425,
  kexec_load: 246,
  name_to_handle_at: 303,
  open_by_handle_at: 304,
  perf_event_open: 298,
  pidfd_getfd: 438,
  process_vm_readv: 310,
  reboot: 169,
  setns: 308,
  swapon: 167,
  userfaultfd: 323,
};

suite('seccomp', [linux, cgroups, staticCompiler], () => {
  let directory: string;
  let mounts: string[];
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-seccomp-'));
    chmodSync(directory, 0o755);
    buildProbe(join(directory, 'probe'));
    mounts = [`${directory}:/mnt:ro,dangerous`];
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const probe = async (attempt: string, options: TextOptions = {}) =>
    (await run('/mnt/probe', attempt.split(' '), { ...options, mounts })).stdout.trim();

  test.each(denied)('by default %s is %s', async (attempt, errno) => {
    expect(await probe(attempt)).toBe(errno);
  });

  test('without a filter most of these are answered by the kernel', async () => {
    const open: TextOptions = { seccomp: 'unconfined' };
    const answers = await Promise.all(
      ['tiocsti', 'tiocsti-high', 'tioclinux', 'personality 0x0040000', 'unshare 0x10000000'].map(
        (attempt) => probe(attempt, open),
      ),
    );
    expect(answers).toEqual(['ENOTTY', 'ENOTTY', 'ENOTTY', 'ok', 'ok']);
    const { isolation } = await run('true', [], open);
    expect(isolation.missing).toContainEqual({ wall: 'seccomp', why: 'given up by name' });
    expect((await run('true')).isolation.enforced).toContain('seccomp');
  });

  test('sockets: local and internet, not those that reach kernel subsystems', async () => {
    for (const [family, type] of [
      [1, 1],
      [2, 1],
      [2, 2],
      [10, 1],
    ])
      expect(await probe(`socket ${family} ${type}`)).toBe('ok');
    // SCTP, L2TP, SMC, and a type that DCCP had: modules that the kernel would load for anybody.
    for (const rest of ['1 132', '2 115', '1 256', '6 0'])
      expect(await probe(`socket 2 ${rest}`)).toBe('EPROTONOSUPPORT');
    for (const [family, type] of [
      [38, 5], // AF_ALG
      [40, 1], // AF_VSOCK
      [17, 3], // AF_PACKET
      [44, 3], // AF_XDP
      [31, 1], // AF_BLUETOOTH
    ])
      expect(await probe(`socket ${family} ${type}`)).toMatch(/^(EAFNOSUPPORT|EPERM)$/);
  });

  suite('by number', [x64], () => {
    test('known and denied is EPERM', async () => {
      const answers = await Promise.all(
        Object.entries(deniedNumbers).map(async ([name, number]) => [
          name,
          await probe(`syscall ${number}`),
        ]),
      );
      for (const [name, answer] of answers) expect([name, answer]).toEqual([name, 'EPERM']);
    });

    test('clone3, unknown and x32 numbers are ENOSYS, so that libc falls back', async () => {
      for (const number of [435, 600, 1_000_000, 0x4000_0000 + 39, 0x4000_0000])
        expect(await probe(`syscall ${number}`)).toBe('ENOSYS');
    });
  });

  test("a profile as docker's", async () => {
    const seccomp = {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [
        {
          names: ['personality'],
          action: 'SCMP_ACT_ALLOW',
          args: [{ index: 0, value: 8, op: 'SCMP_CMP_EQ' }],
        },
        { names: ['unshare'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
        {
          names:
            'read write writev exit_group execve brk arch_prctl fstat newfstatat mmap mprotect munmap set_tid_address set_robust_list rseq prlimit64 readlink readlinkat getrandom ioctl'.split(
              ' ',
            ),
          action: 'SCMP_ACT_ALLOW',
        },
      ],
    };
    expect(await probe('personality 8', { seccomp })).toBe('ok');
    expect(await probe('personality 0', { seccomp })).toBe('ENOSYS');
    expect(await probe('unshare 0x04000000', { seccomp })).toBe('ENOSYS');
    const capabilities = ['CAP_SYS_ADMIN'];
    expect(await probe('unshare 0x04000000', { seccomp, capabilities })).toBe('ok');
  });

  test('a profile under which nothing can start is a typed error, not a hang', async () => {
    const profile = (names: string[], errnoRet: number) => ({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names, action: 'SCMP_ACT_ERRNO', errnoRet }],
    });
    const starts = ['ERR_WALL_MISSING', 'ERR_LAUNCH_DENIED', 'ERR_LAUNCH_DIED'];
    for (const seccomp of [
      ...[
        profile(['read'], 1),
        profile(['read'], 0),
        profile(['execve'], 1),
        profile(['execve'], 0),
      ],
      profile(['read', 'exit_group', 'exit'], 1),
      ...['ERRNO', 'KILL', 'KILL_PROCESS', 'TRAP', 'TRACE'].map((action) => ({
        defaultAction: `SCMP_ACT_${action}`,
      })),
    ])
      for (const init of [true, false]) {
        const error = (await refusal({
          seccomp: seccomp as RunOptions['seccomp'],
          init,
        } as TextOptions)) as {
          code: string;
        };
        expect(starts).toContain(error.code);
      }
    expect(await sh('echo still here')).toBe('still here\n');
    const silent = await run('sh', ['-c', 'echo lost; exit 3'], {
      seccomp: profile(['write'], 1) as never,
    });
    expect(silent).toMatchObject({ stdout: '', exitCode: expect.any(Number), reason: 'exit' });
  });

  test('a profile that is wrong is refused before anything is made', async () => {
    for (const [seccomp, option] of [
      [{ defaultAction: 'SCMP_ACT_NONE' }, 'seccomp.defaultAction'],
      [{ syscalls: [] }, 'seccomp.defaultAction'],
      [{ defaultAction: 'SCMP_ACT_ALLOW', syscals: [] }, 'seccomp.syscals'],
      ['strict', 'seccomp'],
    ] as [never, string][])
      expect(await refusal({ seccomp })).toMatchObject({ code: 'ERR_INVALID_OPTION', option });
  });
});
