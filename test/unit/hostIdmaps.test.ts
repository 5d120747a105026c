import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  applyLauncherMap,
  type LauncherFacts,
  launcherMap,
  parseIdMap,
} from '../../lib/host/idmaps.js';
import { formatIdMap } from '../../lib/spec/idMap.js';

const all = [{ start: 0, count: 4294967295 }];
const facts: LauncherFacts = {
  uid: 1000,
  gid: 1001,
  name: 'ann',
  subuids: [{ start: 100000, count: 65536 }],
  subgids: [{ start: 200000, count: 65536 }],
  newuidmap: '/usr/bin/newuidmap',
  newgidmap: '/usr/bin/newgidmap',
  noNewPrivs: false,
  uids: all,
  gids: all,
};

test('launcher id 0 is the user, 1 and up the subordinate ids of all extents', () => {
  const map = launcherMap({ ...facts, subuids: [...facts.subuids, { start: 900000, count: 10 }] });
  expect(formatIdMap(map.uidMappings)).toBe('0 1000 1\n1 100000 65536\n65537 900000 10\n');
  expect(formatIdMap(map.gidMappings)).toBe('0 1001 1\n1 200000 65536\n');
  expect(map.denySetgroups).toBe(false);
  expect(map.helpers).toEqual({
    newuidmap: '/usr/bin/newuidmap',
    newgidmap: '/usr/bin/newgidmap',
  });
  expect(map.fallback).toBeUndefined();
});

test('host id 0, the own id and ids that do not exist here are left out', () => {
  const map = launcherMap({
    ...facts,
    subuids: [
      { start: 0, count: 10 },
      { start: 999, count: 3 },
      { start: 4000, count: 1000 },
    ],
    uids: [{ start: 0, count: 4500 }],
  });
  expect(formatIdMap(map.uidMappings)).toBe('0 1000 1\n1 1 9\n10 999 1\n11 1001 1\n12 4000 500\n');
});

const { name: _name, ...nameless } = facts;
const { newgidmap: _newgidmap, ...helperless } = facts;

test.each<[string, LauncherFacts]>([
  ['no subordinate uids in /etc/subuid', { ...facts, subuids: [] }],
  ['no subordinate gids in /etc/subgid', { ...facts, subgids: [] }],
  ['newuidmap or newgidmap is not installed', helperless],
  ['uid 1000 has no entry in /etc/passwd', nameless],
  ['no_new_privs is set, so newuidmap has no power', { ...facts, noNewPrivs: true }],
])('a single id when %s', (why, given) => {
  expect(launcherMap(given)).toEqual({
    uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: 1001, size: 1 }],
    denySetgroups: true,
    fallback: why,
  });
});

test('uid 0 gets no map of its own id', () => {
  expect(() => launcherMap({ ...facts, uid: 0 })).toThrow(
    expect.objectContaining({ code: 'ERR_HOST_ROOT' }),
  );
});

test('a map never outgrows what the kernel takes in one write', () => {
  const subuids = Array.from({ length: 1000 }, (_, i) => ({ start: 100000 + 10 * i, count: 5 }));
  const { uidMappings } = launcherMap({ ...facts, subuids });
  expect(uidMappings.length).toBeLessThanOrEqual(340);
  expect(formatIdMap(uidMappings).length).toBeLessThan(4096);
  expect(uidMappings.length).toBeGreaterThan(200);
});

test('the padded text of /proc/pid/uid_map reads back as it was written', () => {
  const text = '         0       1000          1\n         1     100000      65536\n';
  expect(formatIdMap(parseIdMap(text))).toBe('0 1000 1\n1 100000 65536\n');
  expect(parseIdMap('')).toEqual([]);
});

const single = launcherMap({ ...facts, subuids: [] });
const withHelper = (newuidmap: string) => ({
  ...single,
  helpers: { newuidmap, newgidmap: newuidmap },
});

test('a helper that is gone, one that refuses and one that lies are told apart', async () => {
  await expect(
    applyLauncherMap(process.pid, withHelper('/nonexistent/newuidmap')),
  ).rejects.toMatchObject({ code: 'ERR_NEWUIDMAP_MISSING', path: '/nonexistent/newuidmap' });

  const directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
  try {
    const refuses = join(directory, 'refuses');
    writeFileSync(refuses, '#!/bin/sh\necho "range not allowed: $*" >&2\nexit 1\n', {
      mode: 0o755,
    });
    await expect(applyLauncherMap(process.pid, withHelper(refuses))).rejects.toMatchObject({
      code: 'ERR_NEWUIDMAP_FAILED',
      message: expect.stringContaining(`range not allowed: ${process.pid} 0 1000 1`),
    });
    // What runs as root gets nothing of what Node was started with.
    const tells = join(directory, 'tells');
    writeFileSync(tells, '#!/bin/sh\necho $(env | cut -d= -f1 | sort) >&2\nexit 1\n', {
      mode: 0o755,
    });
    await expect(applyLauncherMap(process.pid, withHelper(tells))).rejects.toThrow(
      /: LC_ALL PATH PWD( _)?( |$)/,
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
  await expect(applyLauncherMap(process.pid, withHelper('/bin/true'))).rejects.toMatchObject({
    code: 'ERR_IDMAP_MISMATCH',
    path: `/proc/${process.pid}/uid_map`,
  });
});

test('a launcher that has ended is an error, not a restriction', async () => {
  const child = spawn('/bin/true');
  await once(child, 'exit');
  await expect(applyLauncherMap(child.pid ?? 0, single)).rejects.toMatchObject({
    code: 'ERR_IDMAP_FAILED',
    errno: expect.any(Number),
  });
});
