import { hostname } from 'node:os';
import { expect, test } from '@jest/globals';
import * as sys from '../../lib/sys/index.js';
import { linux, notRoot, root, suite } from '../helpers/needs.js';
import { inChild } from '../helpers/sysChild.js';

suite('sys: namespaces, any user', [linux], () => {
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

  test('setns says which errno a wrong descriptor gives', () => {
    const fd = sys.memfdCreate('not a namespace');
    expect(() => sys.setns(fd, 0)).toThrow(
      expect.objectContaining({ code: 'EINVAL', errno: -22, syscall: 'setns' }),
    );
    sys.close(fd);
    expect(() => sys.setns(fd, 0)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});

suite('sys: namespaces, without the right', [linux, notRoot], () => {
  test('the host name cannot be set nor a namespace made', () => {
    const denied = { code: 'EPERM', errno: -1 };
    expect(() => sys.sethostname(hostname())).toThrow(
      expect.objectContaining({ ...denied, syscall: 'sethostname' }),
    );
    expect(() => sys.unshare(sys.CloneFlags.CLONE_NEWUTS)).toThrow(
      expect.objectContaining({ ...denied, syscall: 'unshare' }),
    );
  });
});

suite('sys: namespaces', [linux, root], () => {
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

  test.each(['CLONE_NEWPID', 'CLONE_NEWTIME'] as const)(
    'after unshare(%s) children are born inside and no thread can be started',
    (flag) => {
      const file = flag === 'CLONE_NEWPID' ? 'pid' : 'time';
      const result = inChild(`
        import { spawnSync } from 'node:child_process';
        import { Worker } from 'node:worker_threads';
        const link = (path) => fs.readlinkSync(path + '/ns/${file}');
        const before = link('/proc/self');
        sys.unshare(sys.CloneFlags.${flag});
        const stays = link('/proc/self') === before;
        const child = spawnSync('readlink', ['/proc/' + (${flag === 'CLONE_NEWPID'} ? 'thread-self' : 'self') + '/ns/${file}']);
        const forked = link('/proc/self').replace(${JSON.stringify(file)}, '') !== '' && fs.readlinkSync('/proc/self/ns/${file}_for_children') !== before;
        const worker = code(() => new Worker('0', { eval: true }));
        report({ stays, forked, worker, child: String(child.stdout) });
        process.exit(0);
      `);
      expect(result).toMatchObject({ stays: true, forked: true, worker: 'ERR_WORKER_INIT_FAILED' });
    },
  );
});
