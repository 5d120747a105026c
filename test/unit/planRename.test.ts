import { expect, test } from '@jest/globals';
import { renamePlan } from '../../lib/plan/rename.js';
import { bytes, type Plan, slot } from '../../lib/plan/steps.js';

test('a text is replaced in strings, bytes and lists, and nothing else changes', () => {
  const plan: Plan = {
    cloneFlags: 0n,
    intoCgroup: slot.none,
    fds: [7],
    slotCount: 1,
    waived: 0,
    prepare: [{ op: 'mkdir', dir: slot.host, path: '/a/old', mode: 0o755, existOk: 0 }],
    attend: [],
    child: [
      { op: 'create', dir: 0, path: 'etc/hosts', mode: 0o644, data: bytes('1 old\n2 old\n') },
      { op: 'exec', candidates: ['/bin/old'], argv: ['old'], env: ['X=older'] },
    ],
    teardown: [{ op: 'rmdir', dir: slot.host, path: '/a/old' }],
  };
  const renamed = renamePlan(plan, [['old', 'NEW']]);
  expect(renamed).toEqual({
    ...plan,
    prepare: [{ ...plan.prepare[0], path: '/a/NEW' }],
    child: [
      { ...plan.child[0], data: Buffer.from('1 NEW\n2 NEW\n') },
      { op: 'exec', candidates: ['/bin/NEW'], argv: ['NEW'], env: ['X=NEWer'] },
    ],
    teardown: [{ ...plan.teardown[0], path: '/a/NEW' }],
  });
  expect(plan.prepare[0]).toMatchObject({ path: '/a/old' });
});
