import { closeSync, existsSync, mkdirSync, openSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { planOf } from '../../lib/launch.js';
import { encodePlan } from '../../lib/plan/encode.js';
import { wall } from '../../lib/plan/steps.js';
import { newId, specOf } from '../../lib/specOf.js';
import { supervisor } from '../../lib/supervisor.js';
import type { TextOptions } from '../helpers/containers.js';
import { withInheritable } from '../helpers/inheritable.js';
import { launch } from '../helpers/launches.js';
import { launcherPid } from '../helpers/leaks.js';
import { cgroups, notRoot, root } from '../helpers/requirements.js';
import type { Bench } from './bench.js';
import type { Check, Opening } from './check.js';
import { dumpable, hostPowers, hostRoot, noAssert, powers } from './openings.js';
import { alter, drop, edits, waive } from './planEdit.js';
import { startSleeper } from './sleeper.js';

/** The launcher's and the init's descriptors stay open in the program. */
const keepAll: Opening = {
  what: 'the closing of descriptors',
  edit: edits(drop('closeAll'), waive(wall.fds)),
};
/** A working directory may be anywhere then. */
const outside: Opening = {
  ...keepAll,
  what: 'the look at getcwd, the closing of descriptors, Landlock',
  options: { landlock: 'off' },
  mutations: [{ file: 'process.cc', from: "path[0] == '/' ? 0 : -kEnoent", to: '0' }],
};
/** Whatever the container may give over its own processes. */
const strong = powers('CAP_SYS_PTRACE', 'CAP_DAC_OVERRIDE', 'CAP_SYS_ADMIN', 'CAP_KILL');
/** The host's root itself, with its proc at /hp. */
const allPowers: TextOptions = {
  ...hostPowers('CAP_SYS_PTRACE', 'CAP_DAC_OVERRIDE', 'CAP_SYS_ADMIN').options,
  namespaces: { user: 'host', pid: 'host' },
  mounts: ['/proc:/hp:dangerous'],
};
const everyFd = Array.from({ length: 38 }, (_, i) => i + 3);

/** What another process of the same user may do to the launcher then. */
const dumpableLauncher: Opening = {
  what: 'that',
  mutations: [{ file: 'home.cc', from: 'kPrSetDumpable, 0', to: 'kPrSetDumpable, 1' }],
};
/** The launcher starts with what Node has open for its children. */
const inheritAll = {
  file: 'home.cc',
  from: 'if (long error = Sys(nr::close_range, last + 1, ~0u, 0)) return static_cast<int>(error);',
  to: '',
};
/** The init keeps what it was born with, but for the socket whose end says that it serves. */
const handOverAll = [
  {
    file: 'serve.cc',
    from: 'if (error >= 0) error = Sys(nr::close_range, kSignals + 1, ~0u, 0);',
    to: '',
  },
  {
    file: 'serve.cc',
    from: 'int error = KeepOnly(c.control, static_cast<int>(signals));',
    to: 'int error = KeepOnly(c.control, static_cast<int>(signals)); Close(c.sync);',
  },
];

const withPipes = (body: () => Promise<string>) => withInheritable(100, body);

/** Launches one plan, which is for three descriptors, with other numbers of them. */
async function sendDescriptors(bench: Bench, counts: readonly number[]): Promise<string> {
  const id = newId();
  const plan = encodePlan(await planOf({ id, spec: specOf(id, 'true', [], bench.base) }));
  const { launcher } = await supervisor();
  // Of a process that is not dumpable only root sees them.
  const open = () =>
    process.getuid?.() === 0 ? readdirSync(`/proc/${launcher.pid}/fd`).length : 0;
  const nothing = openSync('/dev/null', 'r+');
  const before = open();
  const seen = new Set<string>();
  for (const count of counts) {
    const { running } = launch(launcher, plan, Array(count).fill(nothing));
    seen.add(
      await running.then(
        () => 'started',
        () => 'failed',
      ),
    );
  }
  closeSync(nothing);
  // What has ended may still be on its way out.
  for (let tries = 100; tries > 0 && open() !== before; tries--) await sleep(50);
  return `${[...seen].join(' ')}, ${open() === before ? 'none' : 'some'} left`;
}

/** Each of these is tried, and the first answer that is not refused is told. */
async function anyOf(tries: readonly (() => Promise<string>)[], refused: RegExp): Promise<string> {
  let last = '';
  for (const attempt of tries) {
    last = await attempt();
    if (!refused.test(last)) return last;
  }
  return last;
}

export const descriptorChecks: readonly Check[] = [
  {
    id: '13',
    attack:
      'open the program of pid 1 through /proc/1/exe, with every right over it (CVE-2019-5736)',
    walls: 'the init is not dumpable, in a user namespace above',
    attempt: (bench, opening) => bench.guest(['open-read', '/proc/1/exe'], opening, strong.options),
    control: (bench) => bench.host('open-read', '/proc/self/exe'),
    held: /^(EACCES|EPERM)$/,
    broken: /^ok/,
    oracle: dumpable,
  },
  {
    id: '13-write',
    attack: 'write to the launcher’s program with every right of the host’s root',
    walls: 'a sealed memfd',
    needs: [root, hostRoot, cgroups],
    attempt: async (bench) =>
      bench.guest(['write', `/hp/${await launcherPid()}/exe`, 'x'], undefined, allPowers),
    control: (bench) =>
      bench.guest(
        ['write', `/hp/${process.pid}/root${bench.sentinel()}`, 'x'],
        undefined,
        allPowers,
      ),
    held: /^(EPERM|ETXTBSY|EACCES)$/,
    broken: /^ok$/,
    oracle: { none: 'without seals the kernel says ETXTBSY, because the launcher runs (tried)' },
  },
  {
    id: '14',
    attack: 'a working directory /proc/self/fd/N of ours (CVE-2024-21626)',
    walls: 'getcwd must be inside the root; what leads outside is not open',
    attempt: (bench, opening) =>
      anyOf(
        everyFd.map(
          (fd) => () => bench.guest(['outside'], opening, { cwd: `/proc/self/fd/${fd}` }),
        ),
        /^(refused: .*|nothing)$/,
      ),
    control: (bench) => bench.host('outside', '/usr'),
    held: /^(refused: .*|nothing)$/,
    broken: /^ok$/,
    oracle: outside,
  },
  {
    id: '14-program',
    attack: 'the same of one more program in a container',
    walls: 'getcwd must be inside the root; what leads outside is not open',
    attempt: (bench, opening) =>
      bench.box(opening, {}, (box) =>
        anyOf(
          everyFd.map((fd) => async () => {
            try {
              return await bench.exec(box, ['outside'], { cwd: `/proc/self/fd/${fd}` });
            } catch (error) {
              return `refused: ${(error as NodeJS.ErrnoException).code}`;
            }
          }),
          /^(refused: .*|nothing)$/,
        ),
      ),
    control: (bench) => bench.host('outside', '/usr'),
    held: /^(refused: .*|nothing)$/,
    broken: /^ok$/,
    oracle: outside,
  },
  {
    id: '14-exec',
    attack: 'a program that is a link to /proc/self/fd/N/… of ours',
    walls: 'descriptors are closed before the exec',
    attempt(bench, opening) {
      const root = bench.rootfs();
      mkdirSync(join(root, 'links'));
      const links = Array.from({ length: 100 }, (_, fd) => `/links/${fd}`);
      for (const [fd, link] of links.entries())
        symlinkSync(`/proc/self/fd/${fd}/bin/probe`, join(root, link));
      const tried = alter('exec', (step) => ({ ...step, candidates: links }));
      const all = { what: '', ...opening, edit: edits(tried, opening?.edit ?? ((plan) => plan)) };
      return bench.inRoot(root, ['echo', 'ran'], all);
    },
    held: /^refused: ERR_PROGRAM_NOT_FOUND$/,
    broken: /^ran$/,
    oracle: keepAll,
  },
  {
    id: '16',
    attack: 'another process of the same user attaches to the launcher (CVE-2026-41163)',
    walls: 'the launcher is not dumpable',
    needs: [notRoot],
    attempt: async (bench) => bench.host('ptrace', String(await launcherPid())),
    control: (bench) => startSleeper(bench, (pid) => bench.host('ptrace', String(pid))),
    held: /^EPERM$/,
    broken: /^ok$/,
    oracle: dumpableLauncher,
  },
  {
    id: '16-getfd',
    attack: 'the same takes a descriptor of the launcher',
    walls: 'the launcher is not dumpable',
    needs: [notRoot],
    attempt: async (bench) => bench.host('pidfd-getfd', String(await launcherPid())),
    control: (bench) => startSleeper(bench, (pid) => bench.host('pidfd-getfd', String(pid))),
    held: /^EPERM$/,
    broken: /^ok$/,
    oracle: dumpableLauncher,
  },
  {
    id: '16-init',
    attack: 'take a descriptor of the init that goes on setting up, with CAP_SYS_PTRACE',
    walls: 'the init is not dumpable, in a user namespace above',
    attempt: (bench, opening) => bench.guest(['pidfd-getfd', '1'], opening, strong.options),
    control: (bench) => bench.host('pidfd-getfd', '0'),
    held: /^(EPERM|EACCES)$/,
    // Where it may look, there is no descriptor 0.
    broken: /^(ok|EBADF)$/,
    oracle: dumpable,
  },
  {
    id: '17',
    attack: 'inheritable descriptors of Node and its addons reach the guest',
    walls: 'the launcher starts with none; the plan closes its own before the exec',
    control: (bench) => withPipes(() => bench.host('fds')),
    attempt: (bench, opening) => withPipes(() => bench.guest(['fds'], opening)),
    held: /^0 1 2$/,
    broken: /^0 1 2( \d+){100,}$/,
    oracle: { ...keepAll, what: 'both', mutations: [inheritAll] },
  },
  {
    id: '17-exec',
    attack: 'the same of a program in a container that lives',
    walls: 'the init hands over only the program’s own; the plan closes those',
    control: (bench) => withPipes(() => bench.host('fds')),
    attempt: (bench, opening) =>
      withPipes(() => bench.box(opening, {}, (box) => bench.exec(box, ['fds']))),
    held: /^0 1 2$/,
    broken: /^0 1 2( \d+){100,}$/,
    oracle: { ...keepAll, what: 'both', mutations: [inheritAll, ...handOverAll] },
  },
  {
    id: '18',
    attack: 'a request with fewer or more descriptors than its plan names',
    walls: 'the launcher compares the numbers, and closes what came',
    attempt: (bench) => sendDescriptors(bench, [0, 1, 2, 4, 5, 40, 64, 253]),
    control: (bench) => sendDescriptors(bench, [3]),
    held: /^failed, none left$/,
    broken: /started/,
    oracle: {
      what: 'the comparison, here and of each step',
      mutations: [
        { file: 'reader.cc', from: 'header->fdCount != fds || ', to: '' },
        { file: 'reader.cc', from: 'i < fds; i++', to: 'i < view->header.fdCount; i++' },
      ],
    },
  },
  {
    id: '22',
    attack: 'booby-trapped tar, nsenter, sh, ps and libraries in the root (CVE-2019-14271)',
    walls: 'no program and no library of the root is ever run by us',
    async attempt(bench, opening) {
      const marks = bench.directory();
      const trapped = bench.trappedRootfs();
      const out = bench.directory();
      const options = { rootfs: trapped, mounts: [`${marks}:/marks`] };
      const run = await bench.box(opening, options, async (box) => {
        await box.exec('/bin/probe', ['ids']);
        await box.fs.writeFile('/marks/in', 'x');
        await box.fs.rm('/marks/in');
        await box.copyOut('/bin', join(out, 'bin'));
        await box.top();
        return 'done';
      });
      return `${run} ${existsSync(join(marks, 'sprung')) ? 'sprung' : 'quiet'}`;
    },
    async control(bench) {
      const marks = bench.directory();
      const options = { rootfs: bench.trappedRootfs(), mounts: [`${marks}:/marks`] };
      await bench.box(undefined, options, async (box) => String(await box.exec('tar', [])));
      return existsSync(join(marks, 'sprung')) ? 'done sprung' : 'done quiet';
    },
    held: /^done quiet$/,
    broken: / sprung$/,
    oracle: {
      what: 'that rule (a plan runs the root’s tar)',
      edit: alter('exec', (step) => ({ ...step, candidates: ['/bin/tar'], argv: ['tar'] })),
    },
  },
  {
    id: '24',
    attack: 'capabilities that are inheritable or ambient, or left in the bounding set',
    walls: 'each set is set, and read back before the exec',
    attempt: (bench, opening) =>
      bench.box(opening, { capabilities: ['CAP_CHOWN'] }, async (box) => {
        const { stdout } = await box.exec('grep', ['Cap', '/proc/self/status']);
        const sets = [...stdout.matchAll(/\t(\w+)/g)];
        return sets.map(([, set]) => Number(`0x${set}`).toString(16)).join(' ');
      }),
    held: /^0 1 1 1 0$/,
    broken: /fff/,
    oracle: {
      what: 'the bounding set, the assertion',
      edit: edits(drop('capBounding'), noAssert),
    },
  },
  {
    id: '24-assert',
    attack: 'an inheritable set that is not empty, by a faulty plan (CVE-2022-29162)',
    walls: 'the assertion reads all sets back before the exec',
    attempt: (bench, opening) =>
      bench.guest(['show', '/proc/self/status'], {
        what: 'a faulty plan',
        edit: edits(
          alter('capset', (step) => ({ ...step, permitted: 1n, inheritable: 1n })),
          drop('capBounding'),
          opening?.edit ?? ((plan) => plan),
        ),
      }),
    held: /^refused: ERR_LAUNCH_FAILED$/,
    broken: /CapInh:\t0*1\n/,
    oracle: { what: 'the assertion', edit: noAssert },
  },
];
