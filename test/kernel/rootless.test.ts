import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { FullReport } from '../helpers/detachedFull.js';
import type { FullDisk } from '../helpers/fullDisk.js';
import type { FullState } from '../helpers/fullState.js';
import {
  cgroups,
  command,
  hybrid,
  type Requirement,
  root,
  subids,
  subidUser,
  suite,
  userns,
} from '../helpers/needs.js';
import { OtherUser } from '../helpers/otherUser.js';

const needs: Requirement[] = [root, cgroups, userns, command('setpriv'), command('unshare')];
const withoutV2 = 'umount /sys/fs/cgroup/unified';

/** What needs no cgroup; the error of a user with one id, who asks for another, says what to do. */
const works = {
  exec: 'ok',
  'end of a tree': 'ok',
  terminal: 'ok',
  files: 'ok',
  watch: 'ok',
  events: 'ok',
  'copyIn, copyOut': 'ok',
  stats: 'ok',
  'joining program': 'ok',
  detached: 'ok',
  'changes of a kept layer': 'ok',
};
const refused = 'ERR_CGROUP_UNAVAILABLE hint';
const withoutCgroup = {
  'default limits': refused,
  'limits of a program': refused,
  update: refused,
  pause: refused,
  'snapshot while it runs': refused,
};
const withCgroup = {
  'default limits': 'ok',
  'limits of a program': 'ok',
  update: 'ok',
  pause: 'ok',
  'snapshot while it runs': 'ok',
};

const kinds = [
  {
    name: 'a user without subordinate ids',
    required: needs,
    // Nobody has this id.
    account: () => ({ uid: 54321, gid: 54321 }),
    others: 'ERR_INVALID_OPTION hint',
  },
  {
    name: 'a user with subordinate ids',
    required: [...needs, subids],
    account: () => subidUser() ?? { uid: 0, gid: 0 },
    others: 'ok',
  },
];

for (const { name, required, account, others } of kinds) {
  suite(name, required, () => {
    let user: OtherUser;
    beforeAll(() => {
      const { uid, gid } = account();
      user = new OtherUser(uid, gid);
    });
    afterAll(() => user[Symbol.dispose]());

    test('and without a cgroup has all that needs none, once it gives the limits up', async () => {
      const found = await user.run('rootlessWorker.js', ['none'], {});
      expect(found).toEqual({ ...works, ...withoutCgroup, 'another user': others });
    });

    test('and with a cgroup of its own has all of it', async () => {
      const found = await user.runDelegated('rootlessWorker.js', ['own']);
      expect(found).toEqual({ ...works, ...withCgroup, 'another user': others });
    });

    suite('where cgroup v1 is all there is', [hybrid], () => {
      test('and with cgroups of its own, too', async () => {
        const found = await user.runDelegated('rootlessWorker.js', ['own'], withoutV2);
        expect(found).toEqual({ ...works, ...withCgroup, 'another user': others });
      });
    });

    /** A small disk of that user's. */
    const disk = (at: string, size: string) => `mkdir -p ${at}
      mount -t tmpfs -o size=${size},mode=700,uid=${user.uid},gid=${user.gid} none ${at}`;

    test('and with a full disk has the error of the program and of the copy', async () => {
      const at = `${user.home}/small`;
      const found = (await user.runDelegated('fullDisk.js', [at], disk(at, '64k'))) as FullDisk;
      const { complaint, ...rest } = found;
      expect(complaint).toMatch(/No space left on device/);
      expect(rest).toEqual({
        exitCode: 1,
        copies: ['ENOSPC', 'ENOSPC'],
        left: ['out'],
        afterwards: 'through\n',
      });
    });

    test('and with a full disk for its logs loses output, which is counted', async () => {
      const kept = `${user.home}/ringfort/containers`;
      const before = `install -d -m 700 -o ${user.uid} -g ${user.gid} ${user.home}/ringfort
        ${disk(kept, '400k')}`;
      const found = (await user.runDelegated('detachedFull.js', [], before)) as FullReport;
      expect(found).toMatchObject({ exitCode: 3, last: 'after\n' });
      expect(found.lost).toBeGreaterThan(1_000_000);
      expect(found.kept + found.lost).toBe(2_000_000 + 'after\n'.length);
    });

    test('and with a full state directory has a typed error, and then the next container', async () => {
      const state = `${user.home}/ringfort`;
      const found = await user.runDelegated('fullState.js', [state], disk(state, '64k'));
      expect(found).toEqual({
        failed: { code: 'ERR_JOURNAL', phase: 'prepare', errno: -28 },
        beside: 0x1021994,
        next: { exitCode: 0 },
        same: true,
      } satisfies FullState);
    });
  });
}
