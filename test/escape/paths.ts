import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inRoot } from '../../lib/plan/flags.js';
import { slot } from '../../lib/plan/steps.js';
import { OpenFlags } from '../../lib/sys/constants.js';
import { probePath } from './bench.js';
import type { Check } from './check.js';
import { alter, edits, insertBefore, type PlanEdit } from './planEdit.js';

/** Links may be followed to where a kernel file system is to be mounted. */
const followLinks = alter('attach', (step) => ({ ...step, resolve: inRoot }));

/** A kernel file system whose place in the root is a link to /tmp. */
function linkedPlace(id: string, name: string, found: string): Check {
  return {
    id,
    attack: `/${name} of the root is a link to /tmp (CVE-2019-19921, CVE-2023-27561)`,
    walls: 'attached by descriptor, without following links',
    control: (bench) => bench.inRoot(bench.rootfs(), ['open-read', `/${name}/${found}`], undefined),
    attempt: (bench, opening) =>
      bench.inRoot(bench.rootfs({ [name]: 'tmp' }), ['open-read', `/tmp/${found}`], opening, {
        maskedPaths: [],
        readonlyPaths: [],
      }),
    held: /^refused: /,
    broken: /^ok/,
    oracle: { what: 'RESOLVE_NO_SYMLINKS', edit: followLinks },
  };
}

/** Masks are what the root calls /dev/null, as it is before our /dev covers that. */
const masksFromRoot: PlanEdit = (plan) => {
  const root = plan.child.find((step) => step.op === 'pivotRoot');
  if (root?.op !== 'pivotRoot') throw new Error('no root');
  const path = 'dev/null';
  const file = plan.slotCount;
  const flags = OpenFlags.O_PATH;
  const open = {
    op: 'open',
    slot: file,
    dir: root.root,
    path,
    flags,
    resolve: inRoot,
    mode: 0,
  } as const;
  return edits(
    insertBefore('child', 'fsMount', [open]),
    alter('mask', (step) => ({ ...step, file })),
  )({ ...plan, slotCount: file + 1 });
};

/** What is named below a directory, and what is in it. */
function contents(dir: string): string {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).join(' ');
}

export const pathChecks: readonly Check[] = [
  linkedPlace('01', 'proc', 'self/status'),
  linkedPlace('01-sys', 'sys', 'class'),
  linkedPlace('01-dev', 'dev', 'urandom'),
  {
    id: '03',
    attack: 'the root’s /dev/null is a link: masks would show its target (CVE-2025-31133)',
    walls: 'masks are a verified device of the host, opened by the launcher',
    attempt(bench, opening) {
      const root = bench.rootfs();
      writeFileSync(join(root, 'etc/secret'), 'x');
      symlinkSync('/etc/secret', join(root, 'dev/null'));
      return bench.inRoot(root, ['content', '/proc/timer_list', '/proc/interrupts'], opening);
    },
    control: (bench) => bench.host('content', '/proc/interrupts', '/proc/self/status'),
    held: /^nothing$/,
    broken: /^ok/,
    oracle: { what: 'masks from the root’s own /dev/null', edit: masksFromRoot },
  },
  {
    id: '05',
    attack: 'a volume below /proc, to misdirect what is written there (CVE-2025-52881)',
    walls: 'refused before anything is created; writes go through the launcher’s own proc',
    control: (bench) =>
      bench.guest(['make', '/srv/x'], undefined, {
        mounts: [{ destination: '/srv', type: 'tmpfs' }],
      }),
    attempt(bench, opening) {
      const mounts = [{ destination: '/proc/sys', type: 'tmpfs' }];
      return bench.guest(['make', '/proc/sys/x'], opening, {
        readonlyPaths: [],
        landlock: 'off',
        ...(opening === undefined && { mounts }),
      });
    },
    held: /^refused: ERR_INVALID_OPTION$/,
    broken: /^ok$/,
    oracle: {
      what: 'the check of options (the mount is added to the plan)',
      edit(plan) {
        const root = plan.child.find((step) => step.op === 'pivotRoot');
        if (root?.op !== 'pivotRoot') throw new Error('no root');
        const mount = plan.slotCount;
        return insertBefore('child', 'sethostname', [
          { op: 'fsMount', slot: mount, type: 'tmpfs', options: [], attributes: 0 },
          { op: 'attach', mount, root: root.root, path: 'proc/sys', resolve: inRoot },
        ])({ ...plan, slotCount: mount + 1 });
      },
    },
  },
  {
    id: '07',
    attack: 'a mount point is made behind a link of a volume (CVE-2024-45310)',
    walls: 'nothing is ever made in a directory of the host',
    async attempt(bench, opening) {
      const [volume, outside] = [bench.directory(), bench.directory()];
      symlinkSync(outside, join(volume, 'sub'));
      const place = join(volume, 'sub/made');
      const made = { op: 'mkdir', dir: slot.host, path: place, mode: 0o755, existOk: 1 } as const;
      const naive = opening && {
        ...opening,
        edit: insertBefore('prepare', 'openTree', [made]),
      };
      const inside = { destination: '/srv/sub/made', type: 'tmpfs' };
      const mounts = [`${volume}:/srv`, ...(opening === undefined ? [inside] : [])];
      const answer = await bench.guest(['ids'], naive, { mounts });
      return `${contents(outside) === '' ? 'nothing' : 'made'} ${answer}`;
    },
    held: /^nothing refused: ERR_MOUNT_POINT_MISSING$/,
    broken: /^made /,
    oracle: { what: 'that rule (a mkdir by path is added to the plan)' },
  },
  {
    id: '07-race',
    attack: 'the same while another container swaps a directory of the volume for that link',
    walls: 'nothing is ever made in a directory of the host',
    async attempt(bench, opening) {
      const [volume, outside] = [bench.directory(), bench.directory()];
      for (const path of [volume, outside]) chmodSync(path, 0o777);
      const place = join(volume, 'swap/made');
      const made = { op: 'mkdir', dir: slot.host, path: place, mode: 0o755, existOk: 1 } as const;
      const naive = opening && { ...opening, edit: insertBefore('prepare', 'openTree', [made]) };
      const mounts = [`${volume}:/srv`];
      const inside = { destination: '/srv/swap/made', type: 'tmpfs' };
      return bench.box(undefined, { mounts }, async (box) => {
        const swapping = box.spawn(probePath, ['swap', '/srv', outside]);
        const [first] = await once(swapping.stdout ?? swapping, 'data');
        if (!`${first}`.startsWith('ready')) return `${first}`;
        // What must be seen is waited for; on a busy machine the race is slow.
        const tries = opening === undefined ? 30 : 5000;
        for (let i = 0; i < tries && contents(outside) === ''; i++) {
          const all = opening === undefined ? [...mounts, inside] : mounts;
          const answer = await bench.guest(['ids'], naive, { mounts: all });
          if (!/^(\d+ \d+ \d+|refused: ERR_(MOUNT_[A-Z_]+|SOURCE_[A-Z_]+))$/.test(answer))
            return answer;
        }
        await swapping.killTree();
        return contents(outside) === '' ? 'nothing' : 'made';
      });
    },
    held: /^nothing$/,
    broken: /^made$/,
    oracle: { what: 'that rule (a mkdir by path is added to the plan)' },
  },
  {
    id: '08',
    attack: 'a link takes the place of a bind’s source after it was checked (CVE-2021-25741)',
    walls: 'sources are opened resolved, without following links',
    async attempt(bench, opening) {
      const [parent, outside] = [bench.directory(), bench.sentinel()];
      const source = join(parent, 'sub');
      mkdirSync(source);
      writeFileSync(join(source, 'sentinel'), 'own');
      const target = join(outside, '..');
      // The moment between the check and the launcher's open is when the plan is on its way.
      const race: PlanEdit = (plan) => {
        renameSync(source, join(parent, 'gone'));
        symlinkSync(target, source);
        return (opening?.edit ?? ((same) => same))(plan);
      };
      const racing = { what: 'the race', ...opening, edit: race };
      if (opening !== undefined)
        racing.edit = edits(
          race,
          alter('openTree', (step) =>
            step.path === source ? { ...step, path: join(target) } : step,
          ),
        );
      return bench.guest(['show', '/srv/sentinel'], racing, { mounts: [`${source}:/srv:ro`] });
    },
    held: /^refused: /,
    broken: /^sentinel$/,
    oracle: { what: 'O_NOFOLLOW (the plan names the link’s target)' },
  },
];
