import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { wall } from '../../lib/plan/steps.js';
import { AT_RECURSIVE } from '../../lib/sys/constants.js';
import { mount, umount2 } from '../../lib/sys/mount.js';
import { testMount } from '../helpers/leaks.js';
import { cgroups, command, root } from '../helpers/requirements.js';
import { type Wall, withAlone } from './alone.js';
import type { Bench } from './bench.js';
import type { Check } from './check.js';
import {
  hostPowers,
  hostRoot,
  idsWall,
  landlockWall,
  powers,
  readonlyWall,
  rootIdsWall,
  writable,
} from './openings.js';
import { alter, drop, edits, waive } from './planEdit.js';

/** A guest's mount over a volume of the host's, whose mounts are shared where we can make them so. */
async function guestMount(bench: Bench, open: boolean): Promise<string> {
  const script = fileURLToPath(new URL('propagation.js', import.meta.url));
  const shares = [hostRoot, command('unshare')].every((need) => need.check() === undefined);
  const { options } = (shares ? hostPowers : powers)('CAP_SYS_ADMIN');
  const state = open ? 'open' : 'closed';
  const node = [process.execPath, script, bench.directory(), JSON.stringify(options), state];
  // In a peer group of its own: those of the host's, where its mounts are shared, would take part.
  const apart = 'mount --make-rshared / && exec "$@"';
  const own = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', apart, 'sh'];
  const [file = '', ...args] = [...(shares ? own : []), ...node];
  const env = { ...process.env, RINGFORT_ESCAPE_BASE: JSON.stringify(bench.base) };
  return (await promisify(execFile)(file, args, { env, timeout: 60_000 })).stdout.trim();
}

/** Read-only is only what is mounted last. */
const volumesAlone = alter('mountSetattr', (step) => ({
  ...step,
  flags: step.flags & ~AT_RECURSIVE,
}));
const cgroupWalls: readonly Wall[] = [
  {
    id: 'mount',
    wall: 'mounted read-only',
    open: { edit: alter('fsMount', (step) => ({ ...step, attributes: step.attributes & ~1 })) },
    held: /^EROFS$/,
  },
  {
    id: 'descendants',
    wall: 'cgroup.max.descendants 0',
    open: {
      edit: drop((step) => step.op === 'write' && step.path.endsWith('cgroup.max.descendants')),
    },
    held: /^EAGAIN$/,
  },
  landlockWall,
];

const checks: readonly Check[] = [
  {
    id: '10',
    attack: 'a mount of the guest’s travels to the host',
    walls: 'private mounts; for who is not root, the user namespace, too',
    attempt: (bench, opening) => guestMount(bench, opening !== undefined),
    // Another program of the container sees it.
    control: (bench) =>
      bench.box(undefined, powers('CAP_SYS_ADMIN').options ?? {}, async (box) => {
        const mounted = await bench.exec(box, ['mount']);
        const table = await box.exec('cat', ['/proc/self/mountinfo']);
        return `${mounted} ${/ \/tmp .* - tmpfs none /.test(table.stdout) ? 'seen' : 'unseen'}`;
      }),
    held: /^ok unseen unseen$/,
    broken: / seen/,
    oracle: { what: 'private mounts', needs: [hostRoot, command('unshare')] },
  },
  {
    id: '11',
    attack: 'write to a read-only volume',
    walls: 'a read-only mount, Landlock',
    control: (bench) =>
      bench.guest(['make', '/srv/x'], undefined, { mounts: [`${bench.directory()}:/srv`] }),
    attempt: (bench, opening) =>
      bench.guest(['make', '/srv/x'], opening, { mounts: [`${bench.directory()}:/srv:ro`] }),
    held: /^(EROFS|EACCES)$/,
    broken: /^ok$/,
    oracle: { what: 'both', options: { landlock: 'off' }, edit: writable },
  },
  {
    id: '11-below',
    attack: 'write to what is mounted below a read-only volume',
    walls: 'the mount is read-only recursively, Landlock',
    needs: [root, hostRoot],
    async attempt(bench, opening) {
      const volume = bench.directory();
      const below = join(volume, 'below');
      mkdirSync(below);
      mount(testMount, below, 'tmpfs', 0, 'mode=777');
      try {
        return await bench.guest(['make', '/srv/below/x'], opening, {
          mounts: [`${volume}:/srv:ro`],
        });
      } finally {
        umount2(below, 0);
      }
    },
    held: /^(EROFS|EACCES)$/,
    broken: /^ok$/,
    oracle: {
      what: 'AT_RECURSIVE, Landlock',
      options: { landlock: 'off' },
      edit: volumesAlone,
    },
  },
  {
    id: '11-remount',
    attack: 'make a read-only volume writable with CAP_SYS_ADMIN',
    walls: 'refused: the capability beside a read-only bind',
    attempt: (bench, opening) =>
      bench.guest(['remount', '/srv', '/srv/x'], opening, {
        ...powers('CAP_SYS_ADMIN').options,
        mounts: [`${bench.directory()}:/srv:${opening === undefined ? 'ro' : 'ro,dangerous'}`],
      }),
    held: /^refused: ERR_READONLY_NOT_ENFORCED$/,
    broken: /^ok$/,
    oracle: { what: 'that check, by the mount option dangerous' },
  },
  {
    id: '11-root',
    attack: 'write to the host’s /usr',
    walls: 'ids, a read-only mount, Landlock',
    attempt: (bench, opening) => bench.guest(['open-write', '/usr/bin/env'], opening),
    held: /^(EROFS|EACCES)$/,
    broken: /^ok/,
    oracle: {
      what: 'all three',
      options: { landlock: 'off', namespaces: { user: 'host' } },
      edit: writable,
      needs: [hostRoot],
    },
  },
  {
    id: '12',
    attack: 'leave the root by `..` from a descriptor that was kept',
    walls: 'pivot_root into the new root, the old one detached',
    attempt: (bench, opening) =>
      bench.guest(['climb'], opening, powers('CAP_SYS_CHROOT', 'CAP_SYS_ADMIN').options),
    held: /^nothing$/,
    broken: /^ok$/,
    oracle: {
      what: 'pivot_root (the new root is only changed to)',
      options: { cwd: '/' },
      edit: edits(
        waive(wall.pivot),
        drop('pivotRoot'),
        alter('exec', (step) => ({
          ...step,
          candidates: step.candidates.map((path) => `/root${path}`),
          argv: [...step.argv, '/root'],
        })),
      ),
    },
  },
  {
    id: '40',
    attack: 'a hierarchy of cgroups that was asked for: make a cgroup, move there (CVE-2023-25809)',
    walls: 'mounted read-only, ids, cgroup.max.descendants 0, Landlock',
    attempt: (bench, opening) =>
      bench.guest(['mkdir', '/sys/fs/cgroup/x'], opening, {
        mounts: [{ destination: '/sys/fs/cgroup', type: 'cgroup2' }],
      }),
    held: /^(EROFS|EACCES)$/,
    broken: /^ok$/,
    oracle: {
      what: 'all of them',
      needs: [cgroups],
      options: {
        landlock: 'off',
        ...(hostRoot.check() === undefined && { namespaces: { user: 'host' } }),
      },
      edit: edits(
        alter('fsMount', (step) => ({ ...step, attributes: step.attributes & ~1 })),
        drop((step) => step.op === 'write' && step.path.endsWith('cgroup.max.descendants')),
      ),
    },
  },
];

/** The walls of those that more than one stops. */
const several: Readonly<Record<string, readonly Wall[]>> = {
  '11': [readonlyWall, landlockWall],
  '11-below': [
    { ...readonlyWall, wall: 'read-only recursively', open: { edit: volumesAlone } },
    landlockWall,
  ],
  '11-root': [idsWall, readonlyWall, landlockWall],
  '40': [rootIdsWall, ...cgroupWalls],
};

export const mountChecks = withAlone(checks, several);
