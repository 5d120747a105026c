import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { expect, test } from '@jest/globals';
import * as sys from '../../lib/sys/index.js';
import { linux, root, suite } from '../helpers/needs.js';
import { inChild } from '../helpers/sysChild.js';

function status(thread: string, field: string): string {
  const text = fs.readFileSync(`/proc/${thread}/status`, 'utf8');
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '';
}

const capabilities = (thread: string) => ({
  effective: BigInt(`0x${status(thread, 'CapEff')}`),
  permitted: BigInt(`0x${status(thread, 'CapPrm')}`),
  inheritable: BigInt(`0x${status(thread, 'CapInh')}`),
});

/** Text of a filter, for `inChild`: sethostname(2) fails with EXDEV, all else is allowed. */
const filterText = `
  const number = process.arch === 'arm64' ? 161 : 170;
  const filter = new Uint8Array(32);
  const view = new DataView(filter.buffer);
  [[0x20, 0, 0, 0], [0x15, 0, 1, number], [0x06, 0, 0, 0x50000 | os.constants.errno.EXDEV], [0x06, 0, 0, 0x7fff0000]]
    .forEach(([code, jt, jf, k], index) => {
      view.setUint16(index * 8, code, true);
      view.setUint8(index * 8 + 2, jt);
      view.setUint8(index * 8 + 3, jf);
      view.setUint32(index * 8 + 4, k, true);
    });
`;

suite('sys: processes', [linux], () => {
  test('capget tells what /proc tells, of this thread and of another process', () => {
    expect(sys.capget()).toEqual(capabilities('thread-self'));
    expect(sys.capget(process.ppid)).toEqual(capabilities(String(process.ppid)));
    expect(() => sys.capget(2 ** 31 - 1)).toThrow(
      expect.objectContaining({ code: 'ESRCH', syscall: 'capget' }),
    );
  });

  test('capset to the sets that the thread has changes nothing', () => {
    const before = sys.capget();
    sys.capset(before);
    expect(sys.capget()).toEqual(before);
  });

  test('prlimit tells what /proc tells', () => {
    const number = (text: string) => (text === 'unlimited' ? sys.RLIM_INFINITY : BigInt(text));
    const limits = fs.readFileSync('/proc/self/limits', 'utf8');
    const names = {
      'Max cpu time': sys.Rlimit.RLIMIT_CPU,
      'Max file size': sys.Rlimit.RLIMIT_FSIZE,
      'Max stack size': sys.Rlimit.RLIMIT_STACK,
      'Max core file size': sys.Rlimit.RLIMIT_CORE,
      'Max processes': sys.Rlimit.RLIMIT_NPROC,
      'Max open files': sys.Rlimit.RLIMIT_NOFILE,
      'Max locked memory': sys.Rlimit.RLIMIT_MEMLOCK,
      'Max address space': sys.Rlimit.RLIMIT_AS,
      'Max realtime timeout': sys.Rlimit.RLIMIT_RTTIME,
    };
    for (const [name, resource] of Object.entries(names)) {
      const [, soft = '', hard = ''] =
        new RegExp(`^${name} +(\\S+) +(\\S+)`, 'm').exec(limits) ?? [];
      expect([name, sys.prlimit(0, resource)]).toEqual([
        name,
        { soft: number(soft), hard: number(hard) },
      ]);
    }
  });

  test('prlimit sets a limit of another process and returns the old one', async () => {
    const child = spawn('cat');
    const exit = once(child, 'exit');
    const pid = child.pid ?? 0;
    const { soft, hard } = sys.prlimit(pid, sys.Rlimit.RLIMIT_CORE);
    const old = sys.prlimit(pid, sys.Rlimit.RLIMIT_CORE, { soft: 0n, hard: 0n });
    expect(old).toEqual({ soft, hard });
    expect(sys.prlimit(pid, sys.Rlimit.RLIMIT_CORE)).toEqual({ soft: 0n, hard: 0n });
    expect(() => sys.prlimit(pid, sys.Rlimit.RLIMIT_CORE, { soft: 2n, hard: 1n })).toThrow(
      expect.objectContaining({ code: 'EINVAL', syscall: 'prlimit' }),
    );
    child.stdin.end();
    expect(await exit).toEqual([0, null]);
  });

  test('a pidfd signals its process, and no other once that has ended', async () => {
    const child = spawn('cat');
    const exit = once(child, 'exit');
    const pidfd = sys.pidfdOpen(child.pid ?? 0);
    sys.pidfdSendSignal(pidfd, 0);
    sys.pidfdSendSignal(pidfd, 'SIGTERM');
    expect(await exit).toEqual([null, 'SIGTERM']);
    expect(() => sys.pidfdSendSignal(pidfd, 9)).toThrow(
      expect.objectContaining({ code: 'ESRCH', syscall: 'pidfd_send_signal' }),
    );
    sys.close(pidfd);
    expect(() => sys.pidfdOpen(2 ** 31 - 1)).toThrow(
      expect.objectContaining({
        code: 'ESRCH',
        message: "ESRCH: no such process, pidfd_open 'pid 2147483647'",
      }),
    );
  });

  test('prctl reads values and reports errors', () => {
    expect(sys.prctl(sys.Prctl.PR_GET_DUMPABLE)).toBe(1);
    expect(sys.prctl(sys.Prctl.PR_GET_NO_NEW_PRIVS)).toBe(Number(status('self', 'NoNewPrivs')));
    const chown = sys.prctl(sys.Prctl.PR_CAPBSET_READ, 0);
    expect(chown).toBe(Number(BigInt(`0x${status('self', 'CapBnd')}`) & 1n));
    expect(() => sys.prctl(sys.Prctl.PR_CAPBSET_READ, 64)).toThrow(
      expect.objectContaining({ code: 'EINVAL', syscall: 'prctl' }),
    );
  });

  test('prctl acts on the calling thread only, but for the dumpable flag', () => {
    const result = inChild(`
      sys.prctl(sys.Prctl.PR_SET_NO_NEW_PRIVS, 1);
      const here = status('thread-self', 'NoNewPrivs');
      const others = [...new Set(otherThreads().map((id) => status(id, 'NoNewPrivs')))];
      sys.prctl(sys.Prctl.PR_SET_DUMPABLE, 0);
      report({ here, others, dumpable: sys.prctl(sys.Prctl.PR_GET_DUMPABLE) });
    `);
    expect(result).toEqual({ here: '1', others: ['0'], dumpable: 0 });
  });

  test('a seccomp filter holds for the calling thread only', () => {
    const result = inChild(`${filterText}
      sys.prctl(sys.Prctl.PR_SET_NO_NEW_PRIVS, 1);
      const returned = sys.seccompSetModeFilter(0, filter);
      report({
        returned,
        name: code(() => sys.sethostname(os.hostname())),
        here: status('thread-self', 'Seccomp'),
        others: [...new Set(otherThreads().map((id) => status(id, 'Seccomp')))],
      });
    `);
    expect(result).toEqual({ returned: 0, name: 'EXDEV', here: '2', others: ['0'] });
  });

  test('with TSYNC a seccomp filter holds for every thread, or fails', () => {
    const result = inChild(`${filterText}
      const { SECCOMP_FILTER_FLAG_TSYNC } = sys.Seccomp;
      sys.prctl(sys.Prctl.PR_SET_NO_NEW_PRIVS, 1);
      sys.seccompSetModeFilter(SECCOMP_FILTER_FLAG_TSYNC, filter);
      report([...new Set(otherThreads().map((id) => status(id, 'Seccomp')))]);
    `);
    expect(result).toEqual(['2']);
    const diverged = inChild(
      `${filterText}
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(
        \`import('\${process.argv[1]}').then(async (sys) => {
          const { workerData, parentPort } = await import('node:worker_threads');
          sys.prctl(sys.Prctl.PR_SET_NO_NEW_PRIVS, 1);
          sys.seccompSetModeFilter(0, workerData);
          parentPort.once('message', () => {});
          parentPort.postMessage('filtered');
        })\`,
        { eval: true, workerData: filter },
      );
      await new Promise((resolve) => worker.once('message', resolve));
      sys.prctl(sys.Prctl.PR_SET_NO_NEW_PRIVS, 1);
      report(code(() => sys.seccompSetModeFilter(sys.Seccomp.SECCOMP_FILTER_FLAG_TSYNC, filter)));
      process.exit(0);
    `,
      [new URL('../../lib/sys/index.js', import.meta.url).href],
    );
    expect(diverged).toBe('ESRCH');
  });

  test('a filter listener is a close-on-exec descriptor', () => {
    const result = inChild(`${filterText}
      sys.prctl(sys.Prctl.PR_SET_NO_NEW_PRIVS, 1);
      const fd = sys.seccompSetModeFilter(sys.Seccomp.SECCOMP_FILTER_FLAG_NEW_LISTENER, filter);
      const flags = fs.readFileSync('/proc/self/fdinfo/' + fd, 'utf8').match(/^flags:\\s*(\\d+)/m)[1];
      report([fs.readlinkSync('/proc/self/fd/' + fd), parseInt(flags, 8) & sys.OpenFlags.O_CLOEXEC]);
    `);
    expect(result).toEqual(['anon_inode:seccomp notify', sys.OpenFlags.O_CLOEXEC]);
  });

  test('a filter that the kernel refuses is EINVAL', () => {
    // an instruction that no classic BPF has
    const filter = new Uint8Array(8).fill(0xff);
    const result = inChild(`
      sys.prctl(sys.Prctl.PR_SET_NO_NEW_PRIVS, 1);
      report(code(() => sys.seccompSetModeFilter(0, Uint8Array.from([${filter}]))));
    `);
    expect(result).toBe('EINVAL');
  });

  test('landlockAbi is a version number, of a Landlock that is on', () => {
    const abi = sys.landlockAbi();
    expect(Number.isInteger(abi) && abi >= 0).toBe(true);
    const list = '/sys/kernel/security/lsm';
    if (fs.existsSync(list)) {
      expect(abi > 0).toBe(fs.readFileSync(list, 'utf8').split(',').includes('landlock'));
    }
  });
});

suite('sys: capabilities of root', [linux, root], () => {
  test('capset drops capabilities of the calling thread only, and they do not come back', () => {
    const result = inChild(`
      const before = sys.capget();
      const chroot = 1n << 18n, late = 1n << 40n;
      sys.capset({
        effective: before.effective & ~chroot & ~late,
        permitted: before.permitted & ~chroot & ~late,
        inheritable: chroot & 0n,
      });
      const caps = (thread) => status(thread, 'CapPrm') + status(thread, 'CapEff');
      report({
        here: caps('thread-self') === ((before.permitted & ~chroot & ~late).toString(16).padStart(16, '0')
          + (before.effective & ~chroot & ~late).toString(16).padStart(16, '0')),
        others: otherThreads().every((id) => status(id, 'CapPrm') === before.permitted.toString(16).padStart(16, '0')),
        again: code(() => sys.capset(before)),
      });
    `);
    expect(result).toEqual({ here: true, others: true, again: 'EPERM' });
  });
});
