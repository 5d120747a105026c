import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makePrivateDirectory, stateDirectory } from '../../lib/host/stateDir.js';
import { wall } from '../../lib/plan/steps.js';
import { newId } from '../../lib/specOf.js';
import type { TextOptions } from '../helpers/containers.js';
import { launcherPid, ownCgroups } from '../helpers/leaks.js';
import { cgroups, root } from '../helpers/requirements.js';
import { type Wall, withAlone } from './alone.js';
import { type Bench, probePath } from './bench.js';
import type { Check, Opening } from './check.js';
import {
  hostRoot,
  landlockScopes,
  landlockWall,
  noAssert,
  pidWall,
  rootIdsWall,
} from './openings.js';
import { alter, drop, eachStep, edits, waive } from './planEdit.js';
import { startSleeper } from './sleeper.js';

/** The probe on the host, as nobody. */
function asNobody(bench: Bench, args: readonly string[]): string {
  const ids = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const said = execFileSync('setpriv', [...ids, bench.probe, ...args], { encoding: 'utf8' });
  return said.trim();
}

/** Root of the container is who runs this. */
function ownIds(): TextOptions {
  const map = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
  return { uidMappings: map(process.getuid?.() ?? 0), gidMappings: map(process.getgid?.() ?? 0) };
}

/** Names of directories in the cgroups that containers are made in. */
function cgroupNames(): string {
  return ownCgroups()
    .flatMap((dir) => readdirSync(dir))
    .filter((name) => name.startsWith('escaped-'))
    .join(' ');
}

/** Which of the variables that a guest is given is found in the processes that `of` picks. */
function environments(bench: Bench, of: (pids: number[]) => number[]): Promise<string> {
  const env = { LD_PRELOAD: '/run/evil.so', NODE_OPTIONS: '--require /run/evil.js' };
  return bench.box(undefined, { env }, async (box) => {
    const program = box.spawn(probePath, ['sleep'], { env });
    await once(program.stdout ?? program, 'data');
    const { pid = -1 } = box.inspect();
    const pids = of([await launcherPid(), pid, program.pid ?? -1]);
    const text = pids.map((each) => readFileSync(`/proc/${each}/environ`, 'latin1')).join('');
    return Object.keys(env).find((name) => text.includes(name)) ?? 'nothing';
  });
}

/** The paths that an id with `/../` in it would make. */
const escaped: Opening = {
  what: 'that check (the plan has the path that such an id makes)',
  edit: eachStep((step) => [
    'path' in step
      ? { ...step, path: step.path.replace(/\/ringfort-(?=[0-9a-f]{12}(\/|$))/, '/escaped-') }
      : step,
  ]),
};

const checks: readonly Check[] = [
  {
    id: '64',
    attack: 'another user of the host looks into the state of containers (CVE-2021-41091)',
    walls: 'directories of mode 0700',
    needs: [root, hostRoot],
    attempt: async (bench, opening) => {
      await launcherPid();
      if (opening === undefined)
        return asNobody(bench, ['open-read', join(stateDirectory(true) ?? '', 'journal')]);
      const own = join(bench.directory(), 'state');
      makePrivateDirectory(own);
      chmodSync(own, 0o755);
      return asNobody(bench, ['open-read', own]);
    },
    held: /^EACCES$/,
    broken: /^ok/,
    oracle: { what: 'the mode, of a directory made the same way' },
  },
  {
    id: '65-exec',
    attack: 'capabilities come back when uid 0 executes a program',
    walls: 'the bounding set, no_new_privs, the assertion',
    attempt: (bench, opening) =>
      bench.guest(['exec', '/usr/bin/grep', 'CapEff', '/proc/self/status'], opening),
    held: /^CapEff:\t0+$/,
    broken: /^CapEff:\t[0-9a-f]*[1-9a-f]/,
    oracle: {
      what: 'the bounding set, no_new_privs, seccomp (which stands on it), Landlock, the assertion',
      options: { noNewPrivileges: false, seccomp: 'unconfined', landlock: 'off' },
      edit: edits(drop('capBounding'), drop('capset'), waive(wall.caps), noAssert),
    },
  },
  {
    id: '66',
    attack: 'the environment of Node’s',
    walls: 'only the given one is handed over; the launcher’s own is empty',
    control: (bench) => bench.host('environment'),
    attempt: (bench, opening) => bench.guest(['environment'], opening),
    held: /^\.$/,
    broken: /^PATH=/m,
    oracle: {
      what: 'that rule (the plan hands on what Node has)',
      edit: alter('exec', (step) => ({
        ...step,
        env: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
      })),
    },
  },
  {
    id: '23',
    attack: 'LD_PRELOAD and NODE_OPTIONS for the guest reach our own processes (CVE-2025-23266)',
    walls: 'the launcher has no environment; the guest’s is handed to its exec alone',
    needs: [root, hostRoot],
    control: (bench) => environments(bench, (pids) => pids.slice(-1)),
    attempt: (bench) => environments(bench, (pids) => pids.slice(0, -1)),
    held: /^nothing$/,
    broken: /^(LD_PRELOAD|NODE_OPTIONS)$/,
    oracle: { none: 'the addon gives the launcher its environment, which no plan can change' },
  },
  {
    id: '66-session',
    attack: 'the session of the host’s terminal',
    walls: 'setsid',
    attempt: (bench, opening) => bench.guest(['own-session'], opening),
    held: /^own$/,
    broken: /^ok$/,
    oracle: { what: 'setsid', edit: drop('setsid') },
  },
  {
    id: '67',
    attack: 'a signal to a process of the host’s',
    walls: 'a pid namespace, Landlock’s scope, ids',
    control: (bench) => startSleeper(bench, (pid) => bench.host('kill', String(pid), '0')),
    attempt: (bench, opening) =>
      startSleeper(bench, (pid) => bench.guest(['kill', String(pid), '0'], opening)),
    held: /^(ESRCH|EPERM)$/,
    broken: /^ok$/,
    oracle: {
      what: 'all three',
      options:
        hostRoot.check() === undefined
          ? { namespaces: { pid: 'host', user: 'host' }, landlock: 'off' }
          : { ...ownIds(), namespaces: { pid: 'host' }, landlock: 'off' },
      needs: [cgroups],
    },
  },
  {
    id: '67-owner',
    attack: 'have a process of the host’s signalled as the owner of a descriptor (F_SETOWN)',
    walls: 'a pid namespace',
    control: (bench) => startSleeper(bench, (pid) => bench.host('set-owner', String(pid))),
    attempt: (bench, opening) =>
      startSleeper(bench, (pid) => bench.guest(['set-owner', String(pid)], opening)),
    held: /^ESRCH$/,
    broken: /^ok$/,
    oracle: {
      what: 'that',
      options: { namespaces: { pid: 'host' } },
      needs: [cgroups],
    },
  },
  {
    id: '67-group',
    attack: 'SIGKILL to its process group, and to everybody',
    walls:
      'a session of its own before the first byte of the guest, a pid namespace, ids, Landlock',
    // With the host's processes in reach only the first is tried.
    async attempt(bench, opening) {
      const before = await launcherPid();
      const whom = opening === undefined ? ['0', '-1'] : ['0'];
      const ends = await startSleeper(bench, async (pid) => {
        const said: string[] = [];
        for (const each of whom) said.push(await bench.guest(['kill', each, '9'], opening));
        said.push(await bench.host('kill', String(pid), '0'));
        return said.join(', ');
      });
      return `${ends}, ${(await launcherPid()) === before ? 'the launcher lives' : 'gone'}`;
    },
    held: /^signal SIGKILL, (ok|ESRCH), ok, the launcher lives$/,
    broken: /gone$/,
    oracle: {
      what: 'setsid, the user namespace, Landlock',
      options: { namespaces: { user: 'host' }, landlock: 'off', init: false },
      edit: drop('setsid'),
      needs: [cgroups, hostRoot],
    },
  },
  {
    id: '69',
    attack: '`..` and `/` in an id, which is a part of paths of cgroups',
    walls: 'a checked id',
    needs: [cgroups],
    attempt: (bench, opening) =>
      bench.box(opening, {}, async (box) => {
        if (opening !== undefined) return cgroupNames();
        const name = `escaped-${newId()}`;
        const answers = new Set<string>();
        for (const id of ['..', `${box.id}/../${name}`, 'x'.repeat(65), ''])
          answers.add(await bench.box(undefined, { id }, async () => 'created'));
        return [...answers, cgroupNames()].join(' ').trim();
      }),
    held: /^refused: ERR_INVALID_OPTION$/,
    broken: /^escaped-/,
    oracle: escaped,
  },
  {
    id: 'r-outlive',
    attack: 'a child in a session of its own outlives the container',
    walls: 'a pid namespace that ends with its init, cgroup.kill',
    needs: [cgroups],
    async attempt(bench, opening) {
      const volume = bench.directory();
      const mark = join(volume, 'alive');
      chmodSync(volume, 0o777);
      await bench.guest(['outlive', '/srv/alive'], opening, { mounts: [`${volume}:/srv`] });
      // As long as a child that lives needs; where one must live, as long as that takes.
      for (let tries = opening === undefined ? 5 : 100; tries > 0 && !existsSync(mark); tries--)
        await sleep(100);
      return existsSync(mark) ? 'alive' : 'dead';
    },
    held: /^dead$/,
    broken: /^alive$/,
    oracle: {
      what: 'both',
      options: { namespaces: { pid: 'host' }, init: false },
      edit: drop((step) => step.op === 'write' && step.path.endsWith('/cgroup.kill')),
    },
  },
];

/** The walls of those that more than one stops. */
const several: Readonly<Record<string, readonly Wall[]>> = {
  '67': [pidWall, rootIdsWall, { ...landlockWall, needs: [landlockScopes] }],
};

export const lifecycleChecks = withAlone(checks, several);
