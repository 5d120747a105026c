import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, symlinkSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytes } from '../../lib/plan/steps.js';
import { MountAttr } from '../../lib/sys/constants.js';
import { manyIds, root } from '../helpers/requirements.js';
import { type Wall, withAlone } from './alone.js';
import { probePath } from './bench.js';
import type { Check } from './check.js';
import {
  capabilityWall,
  hostPowers,
  hostRoot,
  idsWall,
  landlockScopes,
  landlockWall,
} from './openings.js';
import { alter, drop } from './planEdit.js';
import { beside } from './sleeper.js';

const steering = [
  '/proc/sys/kernel/core_pattern',
  '/proc/sys/kernel/modprobe',
  '/proc/sysrq-trigger',
  '/sys/kernel/uevent_helper',
] as const;
const leaks = [
  ...[
    'interrupts',
    'kcore',
    'keys',
    'latency_stats',
    'sched_debug',
    'timer_list',
    'timer_stats',
  ].map((name) => `/proc/${name}`),
  ...['/proc/acpi', '/proc/asound', '/proc/scsi', '/proc/pressure/cpu'],
  '/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count',
  ...['/sys/firmware', '/sys/devices/virtual/powercap'],
] as const;
const dangerous = ['/', '/etc', '/proc', '/run', '/dev', '/sys', '/boot'].filter((path) =>
  existsSync(path),
);
const devices = 'fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero';

/** A name that only this run has. */
const socketName = () => `ringfort-escape-${process.pid}`;

async function withServer(body: (port: number) => Promise<string>): Promise<string> {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await body((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

/** Each line of a map leaves host id 0 out; what is not the host's root has its own id as 0. */
const ownIds =
  hostRoot.check() === undefined
    ? /^( *\d+ +[1-9]\d* +\d+(\n|$))+$/
    : /^( *\d+ +([1-9]\d* +\d+|0 +1)(\n|$))+$/;

const nosuid = BigInt(MountAttr.MOUNT_ATTR_NOSUID);
const withSetIds = alter('mountSetattr', (step) => ({ ...step, set: step.set & ~nosuid }));
const checks: readonly Check[] = [
  {
    id: '43',
    attack: 'open core_pattern, modprobe, sysrq-trigger or uevent_helper for writing',
    walls: 'ids, read-only paths, a read-only sysfs',
    control: (bench) => bench.host('open-write', bench.sentinel()),
    attempt: (bench, opening) => bench.guest(['open-write', ...steering], opening),
    held: /^(EACCES|EROFS|ENOENT|EPERM)$/,
    broken: /^ok/,
    oracle: {
      what: 'ids, read-only paths',
      options: { namespaces: { user: 'host' } },
      edit: drop('readonlyPath'),
      needs: [hostRoot],
    },
  },
  {
    id: '43-map',
    attack: 'host id 0 in the map of the container',
    walls: 'ranges of ids without it',
    attempt: (bench, opening) => bench.guest(['show', '/proc/self/uid_map'], opening),
    held: ownIds,
    broken: /^0 +0 +65536$/,
    oracle: {
      what: 'the range (the plan maps host id 0)',
      needs: [hostRoot],
      edit: alter('procWrite', (step) =>
        /^self\/[ug]id_map$/.test(step.file) ? { ...step, data: bytes('0 0 65536\n') } : step,
      ),
    },
  },
  {
    id: '44',
    attack: 'read interrupts, timers, keys, power: side channels (GHSA-6fw5-f8r9-fgfm)',
    walls: 'masked paths',
    control: (bench) => bench.host('content', ...leaks),
    attempt: (bench, opening) => bench.guest(['content', ...leaks], opening),
    held: /^nothing$/,
    broken: /^ok/,
    oracle: { what: 'the masks', options: { maskedPaths: [] } },
  },
  {
    id: '45-own',
    attack: 'the session keyring of Node’s',
    walls: 'a new keyring for each container, seccomp',
    async attempt(bench, opening) {
      const script = fileURLToPath(new URL('keyring.js', import.meta.url));
      const state = opening === undefined ? 'closed' : 'open';
      const args = [script, bench.probe, probePath, JSON.stringify(bench.base), state];
      return bench.host('in-session', process.execPath, ...args);
    },
    held: /^others$/,
    broken: /^same [1-9]\d*$/,
    absent: /^same -1$/,
    oracle: { what: 'the new keyring' },
  },
  {
    id: '49',
    attack: 'an abstract socket of the host’s (CVE-2020-15257)',
    walls: 'a network namespace',
    control: (bench) =>
      beside(bench, ['listen-abstract', socketName()], () =>
        bench.host('connect-abstract', socketName()),
      ),
    attempt: (bench, opening) =>
      beside(bench, ['listen-abstract', socketName()], () =>
        bench.guest(['connect-abstract', socketName()], opening, { landlock: 'off' }),
      ),
    held: /^ECONNREFUSED$/,
    broken: /^ok$/,
    oracle: { what: 'the namespace', options: { network: 'host' } },
  },
  {
    id: '49-shared',
    attack: 'the same where the network is shared',
    walls: 'Landlock’s scope',
    needs: [landlockScopes],
    attempt: (bench, opening) =>
      beside(bench, ['listen-abstract', socketName()], () =>
        bench.guest(['connect-abstract', socketName()], opening, { network: 'host' }),
      ),
    held: /^EPERM$/,
    broken: /^ok$/,
    oracle: { what: 'Landlock', options: { landlock: 'off' } },
  },
  {
    id: '48-host',
    attack: 'TIOCSTI into a terminal of the host’s that is handed over as stdin',
    walls: 'seccomp; it is not the guest’s controlling terminal',
    needs: [root, hostRoot],
    attempt: (bench, opening) =>
      // The terminal of another container does for one: root can open it.
      bench.box(undefined, {}, async (box) => {
        const other = box.spawn(probePath, ['sleep'], { pty: { cols: 80, rows: 24 } });
        await once(other, 'spawn');
        const answer = await bench.withStdin(`/proc/${other.pid}/fd/0`, ['tiocsti'], opening);
        other.kill('SIGKILL');
        return answer;
      }),
    held: /^EPERM$/,
    broken: /^ok$/,
    // legacy_tiocsti is 0
    absent: /^EIO$/,
    oracle: hostPowers('CAP_SYS_ADMIN'),
  },
  {
    id: '50',
    attack: 'a set-user-id program',
    walls: 'no_new_privs, nosuid on every mount',
    needs: [manyIds],
    attempt(bench, opening) {
      const raise = join(bench.directory(), 'raise');
      copyFileSync(bench.probe, raise);
      chmodSync(raise, 0o6755);
      const mount = {
        destination: '/run/raise',
        type: 'bind',
        source: raise,
        options: ['ro'],
      };
      const options = { uid: 1000, gid: 1000, mounts: [mount] };
      return bench.run('/run/raise', ['ids'], opening, {
        ...bench.base,
        ...options,
        ...opening?.options,
      });
    },
    held: /^1000 1000 1000$/,
    broken: /^1000 0 /,
    oracle: {
      what: 'both',
      options: { noNewPrivileges: false },
      edit: withSetIds,
      needs: [hostRoot],
    },
  },
  {
    id: '51',
    attack: 'make a device node',
    walls: 'user namespace, no capability, Landlock',
    attempt: (bench, opening) => bench.guest(['mknod', '/tmp/null', '1', '3'], opening),
    held: /^(EPERM|EACCES)$/,
    broken: /^ok$/,
    oracle: hostPowers('CAP_MKNOD'),
  },
  {
    id: '51-dev',
    attack: 'devices of the host’s in /dev',
    walls: 'a /dev of its own with six verified devices',
    attempt: (bench, opening) => bench.guest(['list', '/dev'], opening),
    held: new RegExp(`^${devices}$`),
    broken: /kmsg/,
    oracle: {
      what: 'that list (one more is bound by name)',
      options: {
        mounts: [{ destination: '/dev/kmsg', type: 'bind', source: '/dev/null', options: ['dev'] }],
      },
    },
  },
  {
    id: '51-nodev',
    attack: 'open a device node in a volume',
    walls: 'nodev on every mount',
    needs: [root, hostRoot],
    attempt(bench, opening) {
      const volume = bench.directory();
      execFileSync('mknod', ['-m', '666', join(volume, 'zero'), 'c', '1', '5']);
      const word = opening === undefined ? 'nodev' : 'dev';
      const mount = { destination: '/srv', type: 'bind', source: volume, options: ['ro', word] };
      return bench.guest(['content', '/srv/zero'], opening, { mounts: [mount] });
    },
    held: /^nothing$/,
    broken: /^ok/,
    oracle: { what: 'nodev, by the mount option dev' },
  },
  {
    id: '52',
    attack: 'a bind of /, /etc, /proc, /run or /dev under another name',
    walls: 'sources are compared by device and inode with a list',
    async attempt(bench, opening) {
      const word = opening === undefined ? 'ro' : 'ro,dangerous';
      const answers = new Set<string>();
      for (const target of opening === undefined ? dangerous : ['/etc']) {
        const alias = join(bench.directory(), 'alias');
        symlinkSync(target, alias);
        const mounts = [`${alias}:/srv:${word}`];
        answers.add(await bench.guest(['open-read', '/srv/passwd'], opening, { mounts }));
      }
      return [...answers].join(' ');
    },
    held: /^refused: ERR_DANGEROUS_SOURCE$/,
    broken: /^ok/,
    oracle: { what: 'that check, by the mount option dangerous' },
  },
  {
    id: '54',
    attack: 'a server on the host’s loopback',
    walls: 'a network namespace with only its own loopback',
    control: (bench) => withServer((port) => bench.host('connect-port', String(port))),
    attempt: (bench, opening) =>
      withServer((port) => bench.guest(['connect-port', String(port)], opening)),
    held: /^(ECONNREFUSED|ENETUNREACH)$/,
    broken: /^ok$/,
    oracle: { what: 'the namespace', options: { network: 'host' } },
  },
];

/** The walls of those that more than one stops. */
const several: Readonly<Record<string, readonly Wall[]>> = {
  '43': [idsWall, { id: 'paths', wall: 'read-only paths', open: { edit: drop('readonlyPath') } }],
  '50': [
    {
      id: 'nnp',
      wall: 'no_new_privs',
      open: { options: { noNewPrivileges: false } },
    },
    { id: 'nosuid', wall: 'nosuid on every mount', open: { edit: withSetIds } },
  ],
  '51': [idsWall, capabilityWall('CAP_MKNOD'), landlockWall],
};

export const surfaceChecks = withAlone(checks, several);
