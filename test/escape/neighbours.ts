import type { TextOptions } from '../helpers/containers.js';
import { launcherPid } from '../helpers/leaks.js';
import { cgroups, root } from '../helpers/requirements.js';
import { type Wall, withAlone } from './alone.js';
import { type Bench, probePath } from './bench.js';
import type { Check, Opening } from './check.js';
import {
  capabilityWall,
  dumpable,
  hostRoot,
  idsWall,
  landlockScopes,
  landlockWall,
  pidWall,
  powers,
  seccompWall,
} from './openings.js';
import { alter } from './planEdit.js';
import { beside } from './sleeper.js';

const key = () => String(0x52460000 + (process.pid & 0xffff));
const strong = powers('CAP_SYS_PTRACE', 'CAP_DAC_OVERRIDE', 'CAP_SYS_ADMIN', 'CAP_KILL');
const unfiltered: TextOptions = { seccomp: 'unconfined', landlock: 'off' };
const unmasked: TextOptions = { maskedPaths: [], readonlyPaths: [] };
const writableProc: TextOptions = { readonlyPaths: [], landlock: 'off' };

/** What one container's guest finds of another's, whose probe waits. */
function twoBoxes(
  bench: Bench,
  waits: readonly string[],
  asks: (pid: number) => Promise<string>,
): Promise<string> {
  return bench.box(undefined, {}, async (box) => {
    const waiting = box.spawn(probePath, waits);
    await new Promise((resolve) => waiting.stdout?.once('data', resolve));
    const { pid } = await box.inspect();
    const answer = await asks(pid ?? -1);
    waiting.kill('SIGKILL');
    return answer;
  });
}

/** A check of a call that a program of a container that lives makes. */
function insideBox(
  row: Pick<Check, 'id' | 'attack' | 'walls' | 'held' | 'broken' | 'oracle'>,
  call: readonly string[],
  options: TextOptions = {},
): Check {
  return {
    ...row,
    attempt: (bench, opening: Opening | undefined) =>
      bench.box(opening, options, (box) => bench.exec(box, call)),
  };
}

const sysfsWall: Wall = {
  id: 'mount',
  wall: 'a read-only sysfs',
  open: {
    edit: alter('fsMount', (step) =>
      step.type === 'sysfs' ? { ...step, attributes: step.attributes & ~1 } : step,
    ),
  },
  held: /^EROFS$/,
};

const checks: readonly Check[] = [
  {
    id: 'r-shm',
    attack: 'System V shared memory of the host’s',
    walls: 'an ipc namespace',
    control: (bench) => beside(bench, ['shm', key(), 'keep'], () => bench.host('shm', key())),
    attempt: (bench, opening) =>
      beside(bench, ['shm', key(), 'keep'], () => bench.guest(['shm', key()], opening)),
    held: /^ENOENT$/,
    broken: /^ok$/,
    oracle: { what: 'the namespace', options: { namespaces: { ipc: 'host' } } },
  },
  {
    id: 'r-abstract',
    attack: 'an abstract socket of another container’s',
    walls: 'network namespaces',
    attempt: (bench, opening) =>
      twoBoxes(bench, ['listen-abstract', 'ringfort'], (pid) =>
        bench.guest(['connect-abstract', 'ringfort'], opening, {
          ...(opening !== undefined && { namespaces: { net: { pid } } }),
        }),
      ),
    held: /^ECONNREFUSED$/,
    broken: /^ok$/,
    oracle: {
      what: 'the namespace, which is joined, Landlock',
      options: { landlock: 'off' },
      // Who may join one namespace of a container alone.
      needs: [root],
    },
  },
  {
    id: 'r-neighbour',
    attack: 'a signal to a process of another container’s',
    walls: 'pid namespaces, disjoint ids, Landlock’s scope',
    needs: [cgroups],
    attempt: (bench, opening) =>
      twoBoxes(bench, ['sleep'], (pid) => bench.guest(['kill', String(pid), '0'], opening)),
    held: /^(ESRCH|EPERM)$/,
    broken: /^ok$/,
    oracle: {
      what: 'all three (as the host’s root with CAP_KILL)',
      options: {
        namespaces: { pid: 'host', user: 'host' },
        capabilities: ['CAP_KILL'],
        landlock: 'off',
      },
      needs: [hostRoot],
    },
  },
  insideBox(
    {
      id: 'r-trace-init',
      attack: 'ptrace the init that starts programs, with CAP_SYS_PTRACE',
      walls: 'not dumpable, in a user namespace above',
      held: /^(EPERM|EACCES)$/,
      broken: /^ok$/,
      oracle: dumpable,
    },
    ['ptrace', '1'],
    strong.options,
  ),
  insideBox(
    {
      id: 'r-mem-init',
      attack: 'memory, program, environment and root of that init through /proc',
      walls: 'not dumpable, in a user namespace above',
      held: /^(EPERM|EACCES)$/,
      broken: /^ok/,
      oracle: dumpable,
    },
    [
      'open-read',
      '/proc/1/mem',
      '/proc/1/exe',
      '/proc/1/environ',
      '/proc/1/root/proc',
      '/proc/1/fd/3',
    ],
    strong.options,
  ),
  {
    id: 'r-sysfs',
    attack: 'write to /sys, which configures devices of the host',
    walls: 'ids, a read-only sysfs, Landlock',
    attempt: (bench, opening) => bench.guest(['open-write', '/sys/class/net/lo/ifalias'], opening),
    held: /^(EROFS|EACCES)$/,
    broken: /^ok/,
    oracle: {
      what: 'all three',
      options: { landlock: 'off', namespaces: { user: 'host' } },
      needs: [hostRoot],
      ...sysfsWall.open,
    },
  },
  {
    id: 'r-sysctl',
    attack: 'write to /proc/sys/net with CAP_NET_ADMIN',
    walls: 'read-only paths',
    attempt: (bench, opening) =>
      bench.guest(['open-write', '/proc/sys/net/ipv4/ip_forward'], opening, {
        capabilities: ['CAP_NET_ADMIN'],
      }),
    held: /^(EROFS|EACCES)$/,
    broken: /^ok/,
    oracle: { what: 'the read-only paths', options: writableProc },
  },
  {
    id: 'r-proc',
    attack: 'a process of the host’s in /proc',
    walls: 'a pid namespace with a proc of its own',
    // The launcher: in a container there are not that many.
    async attempt(bench, opening) {
      const pid = await launcherPid();
      return bench.guest(['open-read', `/proc/${pid}/stat`, `/hp/${pid}/stat`], opening);
    },
    control: async (bench) => bench.host('open-read', `/proc/${await launcherPid()}/stat`),
    held: /^ENOENT$/,
    broken: /^ok/,
    oracle: {
      what: 'that proc (the host’s is bound at /hp)',
      options: { namespaces: { pid: 'host' }, mounts: ['/proc:/hp:ro,dangerous'] },
      needs: [cgroups],
    },
  },
  {
    id: 'r-host-netns',
    attack: 'setns into a namespace of the host’s that is handed over as stdin',
    walls: 'user namespace, no capability, seccomp',
    attempt: async (bench, opening) =>
      bench.withStdin('/proc/self/ns/net', ['setns-stdin'], opening),
    held: /^EPERM$/,
    broken: /^ok$/,
    oracle: {
      what: 'all of them',
      options: {
        ...powers('CAP_SYS_ADMIN').options,
        namespaces: { user: 'host' },
      },
      needs: [hostRoot],
    },
  },
  {
    id: 'r-nested-mount',
    attack: 'uncover a masked path by a fresh proc in a user namespace of its own',
    walls: 'seccomp, Landlock, mounts that the kernel locks',
    attempt: (bench, opening) => bench.guest(['own-proc'], opening),
    held: /^EPERM$/,
    broken: /^ok$/,
    oracle: { what: 'all of them', options: { ...unfiltered, ...unmasked } },
  },
];

/** The walls of those that more than one stops. */
const several: Readonly<Record<string, readonly Wall[]>> = {
  'r-neighbour': [pidWall, idsWall, { ...landlockWall, needs: [landlockScopes] }],
  'r-sysfs': [idsWall, sysfsWall, landlockWall],
  'r-nested-mount': [
    seccompWall,
    landlockWall,
    {
      id: 'locked',
      wall: 'mounts that the kernel locks (mount_too_revealing)',
      open: { options: unmasked },
    },
  ],
};

// Who has other ids than its target kills by that capability alone.
export const neighbourChecks = withAlone(checks, several, [capabilityWall('CAP_KILL')]);
