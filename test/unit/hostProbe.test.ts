import { expect, test } from '@jest/globals';
import { PermissionError } from '../../lib/errors.js';
import { formatDoctor } from '../../lib/host/doctor.js';
import type { LauncherFacts } from '../../lib/host/idmaps.js';
import type { ProbeReport, ProbeRunner } from '../../lib/host/probe.js';
import { fallenWalls, probeContainers, whyNoNamespaces } from '../../lib/host/probeContainers.js';
import { attempt, failure } from '../../lib/host/probeItem.js';
import { kernelVersion } from '../../lib/host/probeKernel.js';
import { capabilities, isPrivileged, subordinateIds } from '../../lib/host/probeUser.js';
import type { RunOptions } from '../../lib/options.js';

test.each([
  ['5.13.19', 'missing'],
  ['4.18.0-553.el8.x86_64', 'missing'],
  ['5.14.0', undefined],
  ['5.15.0-91-generic', undefined],
  ['6.1.0', undefined],
  ['10.0', undefined],
])('kernel %s against the floor of 5.14', (release, status) => {
  expect(kernelVersion(release).status).toBe(status);
});

const [sysAdmin, ids, sysResource] = [1n << 21n, (1n << 6n) | (1n << 7n), 1n << 24n];
/** CAP_CHOWN, CAP_SYS_CHROOT. */
const others = (1n << 0n) | (1n << 18n);

test('capabilities: what is lacking is named, and an ordinary user lacks nothing', () => {
  expect(capabilities(sysAdmin | ids | sysResource | others, true)).toEqual({
    detail: 'all that are used',
  });
  const limited = capabilities(sysAdmin | ids | others, true);
  expect(limited).toMatchObject({
    status: 'limited',
    detail: expect.stringContaining('CAP_SYS_RESOURCE'),
  });
  expect(limited.detail).not.toContain('CAP_SYS_ADMIN');
  expect(capabilities(ids | sysResource, true)).toMatchObject({
    status: 'missing',
    mend: expect.stringContaining('CAP_SYS_ADMIN'),
  });
  expect(capabilities(0n, false).status).toBeUndefined();
  expect([sysAdmin | ids, sysAdmin, ids, 0n].map((set) => isPrivileged(set))).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

const facts: LauncherFacts = {
  uid: 1000,
  gid: 1000,
  name: 'ann',
  subuids: [{ start: 100000, count: 65536 }],
  subgids: [{ start: 100000, count: 65536 }],
  newuidmap: '/usr/bin/newuidmap',
  newgidmap: '/usr/bin/newgidmap',
  noNewPrivs: false,
  uids: [{ start: 0, count: 4294967295 }],
  gids: [{ start: 0, count: 4294967295 }],
};
const { newuidmap: _, ...helperless } = facts;

test('subordinate ids: each way to be without them has its own mend', () => {
  expect(subordinateIds(facts)).toEqual({ detail: '65536 subordinate ids, by newuidmap' });
  expect(subordinateIds({ ...facts, subuids: [] }).mend).toContain('usermod --add-subuids');
  expect(subordinateIds({ ...facts, subuids: [] }).mend).toMatch(/ ann$/);
  expect(subordinateIds(helperless)).toMatchObject({
    status: 'limited',
    mend: expect.stringContaining('uidmap'),
  });
  expect(subordinateIds({ ...facts, noNewPrivs: true }).mend).toContain('no_new_privs');
});

const standing =
  'NoNewPrivs:\t1\nSeccomp:\t2\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n';

test('walls are judged by what /proc/self/status says inside', () => {
  expect(fallenWalls(standing)).toEqual([]);
  expect(fallenWalls(standing.replace('Seccomp:\t2', 'Seccomp:\t0'))).toEqual(['seccomp']);
  expect(fallenWalls(standing.replace('CapEff:\t0', 'CapEff:\t8'))).toEqual(['empty capabilities']);
  expect(fallenWalls('')).toHaveLength(4);
});

const open = { apparmor: undefined, clone: undefined, most: '96000' };

test('the setting that keeps a user from namespaces is named', () => {
  expect(whyNoNamespaces(false, open)).toBeUndefined();
  expect(whyNoNamespaces(false, { ...open, apparmor: '1' })).toContain('AppArmor');
  expect(whyNoNamespaces(true, { ...open, apparmor: '1' })).toBeUndefined();
  expect(whyNoNamespaces(false, { ...open, clone: '0' })).toContain('unprivileged_userns_clone=1');
  expect(whyNoNamespaces(true, { ...open, most: '0' })).toContain('max_user_namespaces');
});

test('an error becomes an item: its code once, its hint as what to do', () => {
  const error = new PermissionError('ERR_X', 'it is not allowed', { hint: 'allow it' });
  expect(failure(error)).toEqual({
    status: 'missing',
    detail: 'ERR_X: it is not allowed',
    mend: 'allow it',
  });
  const system = Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' });
  expect(failure(system).detail).toBe('EPERM: operation not permitted');
  expect(attempt('a', 'b', 'mend', () => ({ detail: 'works' }))).toEqual({
    id: 'a',
    title: 'b',
    status: 'ok',
    detail: 'works',
  });
  expect(
    attempt('a', 'b', 'mend', () => {
      throw system;
    }),
  ).toMatchObject({ status: 'missing', mend: 'mend' });
});

/** A runner that answers as containers would, unless `broken` throws first. */
function runner(broken: (options: RunOptions) => void = () => {}, status = standing): ProbeRunner {
  return {
    run: async (_file, args, options) => {
      broken(options);
      const stdout = args[0] === '/proc/self/status' ? status : args.length > 0 ? 'seen' : '';
      return { exitCode: 0, stdout };
    },
  };
}

const statuses = async (given: ProbeRunner) =>
  Object.fromEntries(
    (await probeContainers(given, true)).map((item) => [item.id, item.status] as const),
  );
const allOk = { container: 'ok', limits: 'ok', overlay: 'ok', bind: 'ok', time: 'ok' };

test('containers: each item fails by itself', async () => {
  expect(await statuses(runner())).toEqual(allOk);
  const noLimits = runner(({ limits }) => {
    if (limits !== 'none') throw new PermissionError('ERR_CGROUP_UNAVAILABLE', 'no cgroup');
  });
  expect(await statuses(noLimits)).toEqual({ ...allOk, limits: 'missing' });
  const noTime = runner(({ namespaces }) => {
    if (namespaces?.time === 'new') throw new Error('no time namespaces');
  });
  expect(await statuses(noTime)).toEqual({ ...allOk, time: 'missing' });
});

test('containers: an overlay whose program is not found has stood all the same', async () => {
  const fails = (phase: 'exec' | 'mount') =>
    runner(({ rootfs }) => {
      if (rootfs !== undefined) throw new PermissionError('ERR_X', 'failed', { phase });
    });
  expect(await statuses(fails('exec'))).toEqual(allOk);
  expect(await statuses(fails('mount'))).toEqual({ ...allOk, overlay: 'missing' });
});

test('containers: when none starts, or a wall is down, nothing else is tried', async () => {
  const none = { container: 'missing', limits: 'missing', overlay: 'missing' };
  const refuses = runner(() => {
    throw new PermissionError('ERR_USERNS_RESTRICTED', 'refused');
  });
  expect(await statuses(refuses)).toMatchObject(none);
  expect(await statuses(runner(undefined, standing.replace('Seccomp:\t2', '')))).toMatchObject(
    none,
  );
});

const report: ProbeReport = {
  usable: false,
  kernel: '6.1.0',
  arch: 'x64',
  node: 'v20.19.0',
  uid: 1000,
  privileged: false,
  items: [
    { id: 'container', title: 'container', status: 'ok', detail: 'runs', mend: 'not shown' },
    { id: 'limits', title: 'limits', status: 'missing', detail: 'no cgroup', mend: 'delegate' },
    { id: 'ids', title: 'id ranges', status: 'limited', detail: 'a single id' },
  ],
};

test('doctor: aligned lines, what to do, and a verdict', () => {
  expect(formatDoctor(report)).toBe(
    [
      'Linux 6.1.0 (x64), node v20.19.0, uid 1000',
      '',
      'ok       container  runs',
      'missing  limits     no cgroup',
      'limited  id ranges  a single id',
      '',
      'what to do:',
      '  limits: delegate',
      '',
      "containers run here only with limits: 'none'",
      '',
    ].join('\n'),
  );
  expect(formatDoctor({ ...report, usable: true })).toMatch(/\ncontainers run here\n$/);
  expect(formatDoctor({ ...report, items: [] })).toMatch(/\ncontainers do not run here\n$/);
});
