import { expect, test } from '@jest/globals';
import { Deferred } from '../../lib/deferred.js';
import { type LauncherFacts, launcherMap } from '../../lib/host/idmaps.js';
import type { RangeLock } from '../../lib/host/idPool.js';
import { type IdFacts, type IdLease, IdRanges, type IdRequest } from '../../lib/host/idRanges.js';

/** What byte locks do, between several holders. */
class Locks {
  readonly held = new Map<number, string>();
  of(holder: string): RangeLock {
    return {
      lock: (start) => {
        const free = (this.held.get(start) ?? holder) === holder;
        if (free) this.held.set(start, holder);
        return free;
      },
      unlock: (start) => {
        this.held.delete(start);
      },
    };
  }
}

const all = [{ start: 0, count: 4294967295 }];
const root: IdFacts = { uids: all, gids: all, reserved: [] };
const alone: IdRequest = { shareHostDirs: false };
const shared: IdRequest = { shareHostDirs: true };
const idsOf = ({ uidMappings, gidMappings }: IdLease) => JSON.stringify([uidMappings, gidMappings]);
const first = (ranges: IdRanges, request = alone) =>
  ranges.acquire(request).uidMappings.map((m) => [m.containerID, m.hostID, m.size]);

/** Room for one range. */
const span = [{ start: 0, count: 65536 * 2 }];
const exhausted = expect.objectContaining({ code: 'ERR_ID_POOL_EXHAUSTED' });

function user(blocks: number, lock?: RangeLock, change: Partial<LauncherFacts> = {}): IdRanges {
  const sub = [{ start: 100000, count: blocks * 65536 }];
  const launcher = launcherMap({
    uid: 1000,
    gid: 1000,
    name: 'ann',
    subuids: sub,
    subgids: sub,
    newuidmap: '/usr/bin/newuidmap',
    newgidmap: '/usr/bin/newgidmap',
    noNewPrivs: false,
    uids: all,
    gids: all,
    ...change,
  });
  return new IdRanges({ ...root, launcher, ...(lock === undefined ? {} : { lock }) });
}

test('root: every live container has a range of its own, the last returned is lent first', () => {
  const ranges = new IdRanges(root);
  const [a, b, c] = [ranges.acquire(alone), ranges.acquire(shared), ranges.acquire(alone)];
  expect([a, b, c].map((lease) => lease.uidMappings)).toEqual(
    [524288, 589824, 655360].map((hostID) => [{ containerID: 0, hostID, size: 65536 }]),
  );
  expect(a).toMatchObject({ gidMappings: a.uidMappings, lateral: 'own-range' });
  expect(a.denySetgroups).toBe(false);
  expect(new Set([a, b, c].map(idsOf)).size).toBe(3);
  a.release();
  b.release();
  a.release();
  expect(idsOf(ranges.acquire(alone))).toBe(idsOf(b));
  expect(idsOf(ranges.acquire(alone))).toBe(idsOf(a));
  expect(first(ranges)).toEqual([[0, 720896, 65536]]);
});

test('root: two processes never have the same range, and a returned one can change hands', () => {
  const locks = new Locks();
  const one = new IdRanges({ ...root, lock: locks.of('one') });
  const two = new IdRanges({ ...root, lock: locks.of('two') });
  const lease = one.acquire(alone);
  expect(first(two)).toEqual([[0, 589824, 65536]]);
  expect(first(one)).toEqual([[0, 655360, 65536]]);
  lease.release();
  expect(idsOf(two.acquire(alone))).toBe(idsOf(lease));
  expect(first(one)).toEqual([[0, 720896, 65536]]);
});

test('root: a range whose container has ended is to be waited for, one that is in use is not', async () => {
  const ranges = new IdRanges({ ...root, uids: span, gids: span });
  const lease = ranges.acquire(alone);
  expect(ranges.returning(alone)).toBeUndefined();
  const gone = new Deferred<void>();
  lease.ending(gone.promise);
  expect(() => ranges.acquire(alone)).toThrow(exhausted);
  // In another pool of this process, which a detached container has, too; not in one elsewhere.
  const other = new IdRanges({ ...root, uids: span, gids: span });
  other.acquire(alone).release();
  expect(other.returning(alone)).toBeDefined();
  const elsewhere = new IdRanges(root);
  elsewhere.acquire(alone);
  expect(elsewhere.returning(alone)).toBeUndefined();
  lease.release();
  gone.resolve();
  await ranges.returning(alone);
  expect(idsOf(ranges.acquire(alone))).toBe(idsOf(lease));
  expect(ranges.returning(alone)).toBeUndefined();
});

test('root: a teardown that is over without giving its ids back is not waited for again', async () => {
  const ranges = new IdRanges({ ...root, uids: span, gids: span });
  const lease = ranges.acquire(alone);
  lease.ending(Promise.resolve());
  await ranges.returning(alone);
  expect(ranges.returning(alone)).toBeUndefined();
  expect(() => ranges.acquire(alone)).toThrow(exhausted);
  lease.release();
});

test('user: ids are not shared while one’s own are on their way back', async () => {
  const ranges = user(2, new Locks().of('one'));
  const own = ranges.acquire(alone);
  expect(own.lateral).toBe('own-range');
  expect(ranges.acquire(alone).lateral).toBe('shared-range');
  const gone = new Deferred<void>();
  own.ending(gone.promise);
  expect(() => ranges.acquire(alone)).toThrow(exhausted);
  expect(ranges.acquire(shared).lateral).toBe('shared-range');
  own.release();
  gone.resolve();
  await ranges.returning(alone);
  expect(ranges.acquire(alone).lateral).toBe('own-range');
});

test('root: the default pool stays clear of the subordinate ids of users', () => {
  const reserved = [
    { start: 500000, count: 65536 },
    { start: 600000, count: 1 },
  ];
  expect(first(new IdRanges({ ...root, reserved }))).toEqual([[0, 655360, 65536]]);
  const named = { ...alone, pool: { hostID: 500000, size: 65536 } };
  expect(first(new IdRanges({ ...root, reserved }), named)).toEqual([[0, 500000, 65536]]);
});

test('root: pools that overlap do not lend the same ids twice', () => {
  const ranges = new IdRanges(root);
  expect(first(ranges)).toEqual([[0, 524288, 65536]]);
  const pool = { hostID: 500000, size: 3 * 65536 };
  expect(first(ranges, { ...alone, pool })).toEqual([[0, 631072, 65536]]);
  expect(() => ranges.acquire({ ...alone, pool })).toThrow(
    expect.objectContaining({ code: 'ERR_ID_POOL_EXHAUSTED', option: 'idPool' }),
  );
});

test('root: a pool is divided into ranges, and what is left over is not lent', () => {
  const ranges = new IdRanges(root);
  const pool = { hostID: 1000000, size: 150000 };
  expect(first(ranges, { ...alone, pool })).toEqual([[0, 1000000, 65536]]);
  expect(first(ranges, { ...alone, pool })).toEqual([[0, 1065536, 65536]]);
  expect(() => ranges.acquire({ ...alone, pool })).toThrow('every id range is in use');
});

test.each([
  ['host id 0', { hostID: 0, size: 65536 }, 'idPool.hostID'],
  ['a fraction', { hostID: 1.5, size: 65536 }, 'idPool.hostID'],
  ['no id', { hostID: 1, size: 0 }, 'idPool.size'],
  ['ids beyond the last', { hostID: 4294967290, size: 10 }, 'idPool'],
])('root: a pool with %s is refused', (_, pool, option) => {
  expect(() => new IdRanges(root).acquire({ ...alone, pool })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION', option }),
  );
});

test.each([
  ['one range without id 0', [[0, 65536]], [[0, 1, 65535]]],
  [
    'the longest extent',
    [
      [0, 1],
      [1, 65536],
      [70000, 5],
    ],
    [[0, 1, 65536]],
  ],
  ['ids above its own users', [[0, 1000000 - 500000]], [[0, 65536, 65536]]],
  ['the default pool where it exists', [[0, 1000000000]], [[0, 524288, 65536]]],
])('root in a user namespace: %s', (_, extents, expected) => {
  const ids = extents.map(([start = 0, count = 0]) => ({ start, count }));
  expect(first(new IdRanges({ ...root, uids: ids, gids: ids }))).toEqual(expected);
});

test('root in a user namespace: only ids that are both uid and gid; none is an error', () => {
  const facts = { ...root, uids: [{ start: 0, count: 3000 }], gids: [{ start: 0, count: 2000 }] };
  const ranges = new IdRanges(facts);
  expect(first(ranges)).toEqual([[0, 1, 1999]]);
  expect(() => ranges.acquire(alone)).toThrow('every id range is in use');
  const one = [{ start: 0, count: 1 }];
  expect(() => new IdRanges({ ...root, uids: one, gids: one }).acquire(alone)).toThrow(
    expect.objectContaining({ code: 'ERR_NO_IDS' }),
  );
  expect(() =>
    new IdRanges(facts).acquire({ ...alone, pool: { hostID: 1500, size: 1000 } }),
  ).toThrow(expect.objectContaining({ option: 'idPool' }));
});

test('a user with one block: containers share it, and the own id is not in it', () => {
  const ranges = user(1, new Locks().of('one'));
  const lease = ranges.acquire(alone);
  expect(lease.uidMappings).toEqual([{ containerID: 0, hostID: 1, size: 65536 }]);
  expect(lease).toMatchObject({ denySetgroups: false, lateral: 'shared-range' });
  expect(idsOf(ranges.acquire(alone))).toBe(idsOf(lease));
});

test('a user who shares directories is container root, cut at the extents of the launcher', () => {
  const lease = user(1).acquire(shared);
  expect(lease.uidMappings).toEqual([
    { containerID: 0, hostID: 0, size: 1 },
    { containerID: 1, hostID: 1, size: 65535 },
  ]);
  expect(lease.lateral).toBe('shared-range');
  expect(first(user(1, undefined, { subuids: [{ start: 100000, count: 10 }] }), shared)).toEqual([
    [0, 0, 1],
    [1, 1, 10],
  ]);
});

test('a user with several blocks: own ranges while there are any, then the shared one', () => {
  const locks = new Locks();
  const one = user(3, locks.of('one'));
  const two = user(3, locks.of('two'));
  const lease = one.acquire(alone);
  expect(lease).toMatchObject({
    uidMappings: [{ containerID: 0, hostID: 65537, size: 65536 }],
    lateral: 'own-range',
  });
  expect(two.acquire(alone)).toMatchObject({
    uidMappings: [{ containerID: 0, hostID: 131073, size: 65536 }],
    lateral: 'own-range',
  });
  expect(one.acquire(alone)).toMatchObject({
    uidMappings: [{ containerID: 0, hostID: 1, size: 65536 }],
    lateral: 'shared-range',
  });
  lease.release();
  expect(idsOf(two.acquire(alone))).toBe(idsOf(lease));
});

test('a user with several blocks but no lock shares, since no other process can be asked', () => {
  expect(user(3).acquire(alone).lateral).toBe('shared-range');
});

test('blocks that straddle extents of the launcher are cut there', () => {
  const sub = [
    { start: 100000, count: 70000 },
    { start: 300000, count: 70000 },
  ];
  const ranges = user(0, new Locks().of('one'), { subuids: sub, subgids: sub });
  expect(first(ranges)).toEqual([
    [0, 65537, 4464],
    [4464, 70001, 61072],
  ]);
});

test('a user without subordinate ids is a single id and cannot set groups', () => {
  for (const request of [alone, shared]) {
    expect(user(1, undefined, { subgids: [] }).acquire(request)).toMatchObject({
      uidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
      denySetgroups: true,
      lateral: 'single-id',
    });
  }
});

test('a user has no say in the pool', () => {
  expect(() => user(1).acquire({ ...alone, pool: { hostID: 1, size: 1 } })).toThrow(
    expect.objectContaining({ option: 'idPool' }),
  );
});

const map = (...extents: [number, number, number][]) =>
  extents.map(([containerID, hostID, size]) => ({ containerID, hostID, size }));
const explicit = (ranges: IdRanges, ...extents: [number, number, number][]) =>
  ranges.acquire({
    ...alone,
    uidMappings: map(...extents),
    gidMappings: map([0, 100000, 1]),
  }).uidMappings;

test('maps of the spec are taken as they are for root and translated for a user', () => {
  expect(explicit(new IdRanges(root), [0, 1000, 1], [1, 5000, 10])).toEqual(
    map([0, 1000, 1], [1, 5000, 10]),
  );
  expect(explicit(user(1), [0, 1000, 1], [1, 100010, 10])).toEqual(map([0, 0, 1], [1, 11, 10]));
  const sub = [
    { start: 999, count: 1 },
    { start: 1001, count: 2 },
  ];
  expect(explicit(user(1, undefined, { subuids: sub }), [0, 999, 4])).toEqual(
    map([0, 1, 1], [1, 0, 1], [2, 2, 2]),
  );
  const nested = [
    { start: 0, count: 1 },
    { start: 1, count: 50 },
    { start: 51, count: 200000 },
  ];
  expect(explicit(new IdRanges({ ...root, uids: nested, gids: nested }), [0, 40, 20])).toEqual(
    map([0, 40, 11], [11, 51, 9]),
  );
});

test('ids of somebody else are refused', () => {
  const code = expect.objectContaining({ code: 'ERR_ID_NOT_OWNED', option: 'uidMappings[0]' });
  expect(() => explicit(user(1), [0, 1001, 1])).toThrow(code);
  expect(() => explicit(user(1), [0, 100000 + 65535, 2])).toThrow(code);
  expect(() => explicit(user(1, undefined, { subgids: [] }), [0, 100000, 1])).toThrow(code);
  const ids = [{ start: 0, count: 1000 }];
  expect(() => explicit(new IdRanges({ ...root, uids: ids, gids: ids }), [0, 999, 2])).toThrow(
    code,
  );
});

test.each<[string, [number, number, number][], string]>([
  ['host id 0', [[0, 0, 1]], 'uidMappings[0].hostID'],
  ['a negative id', [[-1, 5, 1]], 'uidMappings[0].containerID'],
  ['a fraction', [[0, 5.5, 1]], 'uidMappings[0].hostID'],
  ['size 0', [[0, 5, 0]], 'uidMappings[0].size'],
  ['the id that is none', [[0, 4294967295, 1]], 'uidMappings[0]'],
  ['a wrap-around', [[0, 4294967290, 10]], 'uidMappings[0]'],
  [
    'a container id twice',
    [
      [0, 5, 10],
      [9, 100, 1],
    ],
    'uidMappings',
  ],
  [
    'a host id twice',
    [
      [0, 5, 10],
      [10, 14, 1],
    ],
    'uidMappings',
  ],
  ['no container root', [[1, 5, 1]], 'uidMappings'],
  ['no extent', [], 'uidMappings'],
  ['341 extents', Array.from({ length: 341 }, (_, i) => [i, 10 + 2 * i, 1]), 'uidMappings'],
  [
    'more than a page of text',
    Array.from({ length: 340 }, (_, i) => [10000000 * i, 4000000000 + 2 * i, 1]),
    'uidMappings',
  ],
])('a map with %s is refused', (_, extents, option) => {
  expect(() => explicit(new IdRanges(root), ...extents)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION', option }),
  );
});

test('one map without the other is refused', () => {
  expect(() => new IdRanges(root).acquire({ ...alone, uidMappings: map([0, 5, 1]) })).toThrow(
    expect.objectContaining({ option: 'gidMappings' }),
  );
  expect(() => new IdRanges(root).acquire({ ...alone, gidMappings: map([0, 5, 1]) })).toThrow(
    expect.objectContaining({ option: 'uidMappings' }),
  );
});
