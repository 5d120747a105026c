import { expect, test } from '@jest/globals';
import * as sys from '../../lib/sys/index.js';
import { linux, root, suite } from '../helpers/needs.js';
import { inChild } from '../helpers/sysChild.js';

suite('sys: namespaces', [linux], () => {
  test('a process with threads cannot enter a user namespace', () => {
    const result = inChild(`
      const fd = fs.openSync('/proc/self/ns/user', 'r');
      report([
        code(() => sys.unshare(sys.CloneFlags.CLONE_NEWUSER)),
        code(() => sys.setns(fd, sys.CloneFlags.CLONE_NEWUSER)),
      ]);
    `);
    expect(result).toEqual(['EINVAL', 'EINVAL']);
  });

  test('without the capability no namespace is made and no name set', () => {
    const result = inChild(`
      sys.capset({ effective: 0n, permitted: 0n, inheritable: 0n });
      report([
        code(() => sys.unshare(sys.CloneFlags.CLONE_NEWUTS)),
        code(() => sys.sethostname(os.hostname())),
        code(() => sys.setdomainname('(none)')),
      ]);
    `);
    expect(result).toEqual(['EPERM', 'EPERM', 'EPERM']);
  });

  test('setns says which errno a wrong descriptor gives', () => {
    const fd = sys.memfdCreate('not a namespace');
    expect(() => sys.setns(fd, 0)).toThrow(
      expect.objectContaining({ code: 'EINVAL', errno: -22, syscall: 'setns' }),
    );
    sys.close(fd);
    expect(() => sys.setns(fd, 0)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});

suite('sys: namespaces of root', [linux, root], () => {
  test('unshare, sethostname and setdomainname act on the calling thread only', () => {
    const result = inChild(`
      const before = { name: os.hostname(), link: fs.readlinkSync('/proc/thread-self/ns/uts') };
      const fd = fs.openSync('/proc/thread-self/ns/uts', 'r');
      sys.unshare(sys.CloneFlags.CLONE_NEWUTS);
      sys.sethostname('inside');
      sys.setdomainname('domain');
      const domain = fs.readFileSync('/proc/sys/kernel/domainname', 'utf8');
      const inside = [os.hostname(), fs.readlinkSync('/proc/thread-self/ns/uts') !== before.link];
      const pool = (await fs.promises.readlink('/proc/thread-self/ns/uts')) === before.link;
      const others = otherThreads().every((id) => fs.readlinkSync('/proc/' + id + '/ns/uts') === before.link);
      sys.setns(fd, sys.CloneFlags.CLONE_NEWUTS);
      report({ domain, inside, pool, others, back: os.hostname() === before.name });
    `);
    expect(result).toEqual({
      domain: 'domain\n',
      inside: ['inside', true],
      pool: true,
      others: true,
      back: true,
    });
  });

  test('a host name over 64 bytes is EINVAL', () => {
    const result = inChild(`
      sys.unshare(sys.CloneFlags.CLONE_NEWUTS);
      report([code(() => sys.sethostname('a'.repeat(64))), code(() => sys.sethostname('a'.repeat(65)))]);
    `);
    expect(result).toEqual(['none', 'EINVAL']);
  });

  test('after unshare(CLONE_NEWPID) children are born inside and no thread can be started', () => {
    const result = inChild(`
      import { spawnSync } from 'node:child_process';
      import { Worker } from 'node:worker_threads';
      sys.unshare(sys.CloneFlags.CLONE_NEWPID);
      const worker = code(() => new Worker('0', { eval: true }));
      const child = spawnSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' });
      report({ worker, child: child.stdout });
    `);
    expect(result).toEqual({ worker: 'ERR_WORKER_INIT_FAILED', child: '1\n' });
  });

  test('after unshare(CLONE_NEWTIME) children are born inside and the thread stays', () => {
    const result = inChild(`
      import { spawnSync } from 'node:child_process';
      const own = () => fs.readlinkSync('/proc/thread-self/ns/time');
      const before = own();
      sys.unshare(sys.CloneFlags.CLONE_NEWTIME);
      const child = spawnSync('readlink', ['/proc/self/ns/time'], { encoding: 'utf8' });
      const forChildren = fs.readlinkSync('/proc/thread-self/ns/time_for_children');
      report({
        stays: own() === before,
        child: child.stdout === forChildren.replace('time_for_children', 'time') + '\\n',
        left: child.stdout !== before + '\\n',
      });
    `);
    expect(result).toEqual({ stays: true, child: true, left: true });
  });
});
