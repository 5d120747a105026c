import { readFileSync } from 'node:fs';
import type { Limits } from '../../lib/options.js';
import { slot } from '../../lib/plan/steps.js';
import type { TextOptions } from '../helpers/containers.js';
import { cgroups, ipcSysctls, type Requirement } from '../helpers/requirements.js';
import type { Check } from './check.js';
import { alter, drop, edits, type PlanEdit } from './planEdit.js';

/** Without the limits that these files of cgroups are for. */
function unlimited(files: RegExp): PlanEdit {
  return drop((step) => step.op === 'write' && files.test(step.path));
}

/** Without options of a mounted file system. */
function withoutMountOption(type: string, option: RegExp): PlanEdit {
  return alter('fsMount', (step) =>
    step.type === type
      ? { ...step, options: step.options.filter((each) => !option.test(each)) }
      : step,
  );
}

interface Bomb {
  id: string;
  attack: string;
  call: readonly string[];
  held: RegExp;
  walls: string;
  /** What is taken away, where it is not the walls. */
  what?: string;
  edit?: PlanEdit;
  options?: TextOptions;
  /** Options that give the wall up. */
  opened?: TextOptions;
  limits?: Limits;
  needs?: readonly Requirement[];
  oracleNeeds?: readonly Requirement[];
  absent?: RegExp;
}

function bomb(row: Bomb): Check {
  const { id, attack, call, held, walls, limits, options, opened, edit, needs } = row;
  return {
    id,
    attack,
    walls,
    needs: [...(limits ? [cgroups] : []), ...(needs ?? [])],
    attempt: (bench, opening) =>
      bench.guest(call, opening, { ...options, ...(limits && { limits }) }),
    held,
    broken: /^ok$/,
    ...(row.absent && { absent: row.absent }),
    oracle: {
      what: row.what ?? walls,
      ...(edit && { edit }),
      ...(opened && { options: opened }),
      ...(row.oracleNeeds && { needs: row.oracleNeeds }),
    },
  };
}

const bombs: readonly Bomb[] = [
  {
    id: '55',
    attack: 'a fork bomb',
    call: ['forks', '64'],
    held: /^EAGAIN$/,
    walls: 'pids.max',
    limits: { pids: 32 },
    edit: unlimited(/\/pids\.max$/),
  },
  {
    id: '56',
    attack: 'twice the memory that it may have',
    call: ['memory', '64'],
    held: /^oom/,
    walls: 'memory.max, no swap',
    limits: { memory: '32MiB' },
    edit: unlimited(/\/memory\.[a-z._]+$/),
  },
  {
    id: '57',
    attack: 'fill a tmpfs with bytes',
    call: ['fill', '1024', '/dev'],
    held: /^ENOSPC$/,
    walls: 'a size for each tmpfs',
    edit: withoutMountOption('tmpfs', /^size=/),
  },
  {
    id: '57-default',
    attack: 'fill /tmp with more than 64 MiB',
    call: ['fill', '66000', '/tmp'],
    held: /^ENOSPC$/,
    walls: 'the default size of a tmpfs',
    edit: withoutMountOption('tmpfs', /^size=/),
  },
  {
    id: '57-inodes',
    attack: 'fill a tmpfs with empty files',
    call: ['files', '1100', '/dev'],
    held: /^ENOSPC$/,
    walls: 'a number of inodes for each tmpfs',
    edit: withoutMountOption('tmpfs', /^nr_inodes=/),
  },
  {
    id: '59',
    attack: 'open files without end',
    call: ['open-files', '1100'],
    held: /^EMFILE$/,
    walls: 'RLIMIT_NOFILE',
    opened: { rlimits: { RLIMIT_NOFILE: 4096 } },
  },
  {
    id: '59-pty',
    attack: 'take all terminals of the host',
    call: ['terminals', '300'],
    held: /^ENOSPC$/,
    walls: 'a devpts of its own with max=',
    edit: withoutMountOption('devpts', /^max=/),
  },
  {
    id: '59-inotify',
    attack: 'take all inotify instances of the host’s user',
    call: ['inotify', '65'],
    held: /^EMFILE$/,
    walls: 'user.max_inotify_instances of the container',
    edit: drop((step) => step.op === 'sysctl' && step.file.includes('inotify')),
    // Other programs of the user's have so many that 65 are not left.
    absent: /^EMFILE$/,
    oracleNeeds: [
      {
        name: 'more than 64 inotify instances',
        check() {
          const text = readFileSync('/proc/sys/user/max_inotify_instances', 'utf8').trim();
          return Number(text) > 64 ? undefined : `this user namespace may have ${text}`;
        },
      },
    ],
  },
  {
    id: '59-sysv',
    attack: 'System V shared memory segments without end',
    call: ['segments', '4100'],
    held: /^ENOSPC$/,
    walls: 'an ipc namespace of its own, with its own bound (kernel.shmmni)',
    opened: { sysctl: { 'kernel.shmmni': '8192' } },
    what: 'that bound',
    oracleNeeds: [ipcSysctls],
  },
  {
    id: '59-mqueue',
    attack: 'message queues in kernel memory',
    call: ['queue'],
    held: /^EMFILE$/,
    walls: 'RLIMIT_MSGQUEUE 0',
    edit: drop((step) => step.op === 'rlimit' && step.resource === 12),
  },
  {
    id: '59-signals',
    attack: 'take all pending signals of the host’s user',
    call: ['pending', '1100'],
    held: /^EAGAIN$/,
    walls: 'RLIMIT_SIGPENDING',
    edit: drop((step) => step.op === 'rlimit' && step.resource === 11),
  },
  {
    id: '59-mlock',
    attack: 'lock memory',
    call: ['mlock', '128'],
    held: /^(ENOMEM|EPERM)$/,
    walls: 'RLIMIT_MEMLOCK',
    edit: drop((step) => step.op === 'rlimit' && step.resource === 8),
  },
  {
    id: 'r-cpuset',
    attack: 'run on a CPU outside of limits.cpuset',
    call: ['cpu', '1'],
    held: /^EINVAL$/,
    walls: 'cpuset.cpus',
    limits: { cpuset: '0' },
    edit: alter('write', (step) =>
      step.path.endsWith('/cpuset.cpus')
        ? { ...step, data: new TextEncoder().encode('0-1') }
        : step,
    ),
    needs: [
      {
        name: 'two CPUs',
        check: () =>
          /^Cpus_allowed_list:\t0-/m.test(readFileSync('/proc/self/status', 'utf8'))
            ? undefined
            : 'this process may run on one',
      },
    ],
  },
];

export const resourceChecks: readonly Check[] = [
  ...bombs.map(bomb),
  {
    id: '70-limit',
    attack: 'a core file limit that has the host’s core handler started',
    walls: 'RLIMIT_CORE 1, the one value that a handler is not started for',
    attempt: (bench, opening) => bench.guest(['limit', '4'], opening),
    held: /^1 1$/,
    broken: /^(-1|0|\d{2,}) (-1|0|\d{2,})$/,
    oracle: {
      what: 'the limit',
      edit: drop((step) => step.op === 'rlimit' && step.resource === 4),
    },
  },
  {
    id: '70-crash',
    attack: 'crashes, half of them of programs that lower their core file limit to 0 first',
    walls: 'RLIMIT_CORE 1, seccomp',
    attempt: (bench, opening) => bench.guest(['crashes', '20'], opening, { cwd: '/tmp' }),
    held: /^0$/,
    broken: /^20$/,
    // A core_pattern that leads to no place in the container.
    absent: /^0$/,
    oracle: { what: 'the limit', options: { rlimits: { RLIMIT_CORE: 64 << 20 } } },
  },
  {
    id: '61',
    attack: 'start outside of the cgroup (CVE-2025-47291)',
    walls: 'born in it (v2), or attached before the first step (v1)',
    needs: [cgroups],
    attempt: (bench, opening) =>
      bench.box(opening, {}, async (box) => {
        const { pid } = await box.inspect();
        const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
        const inside = lines.filter((line) => line.includes(`ringfort-${box.id}`));
        const named = inside.some((line) => /^0::|:(memory|pids):/.test(line));
        return named ? 'inside' : `outside: ${lines.join(' ')}`;
      }),
    held: /^inside$/,
    broken: /^outside/,
    oracle: {
      what: 'both',
      edit: edits(
        (plan) => ({ ...plan, intoCgroup: slot.none }),
        drop((step) => step.op === 'writeFd'),
      ),
    },
  },
  {
    id: '62',
    attack: 'orphans that nobody waits for',
    walls: 'our init reaps',
    attempt: (bench, opening) => bench.guest(['orphans', '200'], opening),
    held: /^0$/,
    broken: /^[1-9]\d*$|^EAGAIN$/,
    oracle: { what: 'the init', options: { init: false } },
  },
  {
    id: '63',
    attack: '1,001 mounts',
    walls: 'a bound in the options',
    attempt: (bench, opening) => {
      const mounts = Array.from({ length: 1001 }, (_, i) => ({
        destination: `/srv/${i}`,
        type: 'tmpfs',
      }));
      return bench.guest(['echo', 'started'], opening, opening === undefined ? { mounts } : {});
    },
    held: /^refused: ERR_INVALID_OPTION$/,
    broken: /^started$/,
    oracle: {
      what: 'the bound of the options (the mounts are added to the plan)',
      edit(plan) {
        const root = plan.child.find((step) => step.op === 'pivotRoot');
        if (root?.op !== 'pivotRoot') throw new Error('no root');
        const mount = plan.slotCount;
        const at = plan.child.findIndex((step) => step.op === 'sethostname');
        const more = Array.from({ length: 1001 }, () => [
          {
            op: 'fsMount',
            slot: mount,
            type: 'tmpfs',
            options: ['size=64k'],
            attributes: 0,
          } as const,
          { op: 'attach', mount, root: root.root, path: 'tmp', resolve: 0x10n } as const,
          { op: 'close', slot: mount } as const,
        ]).flat();
        const child = [...plan.child.slice(0, at), ...more, ...plan.child.slice(at)];
        return { ...plan, child, slotCount: mount + 1 };
      },
    },
  },
];
