import { expect, test } from '@jest/globals';
import { Command, CommanderError } from 'commander';
import { UsageError } from '../../lib/cli/errors.js';
import { flagGroups, flagOf } from '../../lib/cli/flags.js';
import {
  type CliOptions,
  declareOptions,
  type Surroundings,
  toRunOptions,
} from '../../lib/cli/options.js';
import { checkOptions } from '../../lib/spec/checks.js';
import { defaultPath } from '../../lib/spec/defaults.js';
import { machine } from '../helpers/refusals.js';

const nowhere: Surroundings = {
  term: undefined,
  stdinIsTerminal: false,
  window: () => undefined,
};

interface Parsed {
  program: string;
  args: string[];
  options: CliOptions;
}

/** What a command line means, without running it. */
function parse(line: string[], around: Partial<Surroundings> = {}): Parsed {
  const command = new Command('run')
    .argument('<program>')
    .argument('[arguments...]')
    .helpOption('--help')
    .passThroughOptions()
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  const draft = declareOptions(command);
  command.parse(line, { from: 'user' });
  const [program = '', ...args] = command.args;
  return { program, args, options: toRunOptions(draft, { ...nowhere, ...around }) };
}

const optionsOf = (...flags: string[]) => parse([...flags, 'true']).options;

test('a program alone', () => {
  expect(parse(['true'])).toEqual({
    program: 'true',
    args: [],
    options: {
      forceKillAfterDelay: 10_000,
      limits: {},
      env: { PATH: defaultPath, HOME: '/root' },
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  });
});

test('what follows the program is its own', () => {
  for (const line of [
    ['-i', 'sh', '-c', '--memory=1', '--', '-v'],
    ['-i', '--', 'sh', '-c', '--memory=1', '--', '-v'],
  ]) {
    const { program, args, options } = parse(line);
    expect([program, ...args]).toEqual(['sh', '-c', '--memory=1', '--', '-v']);
    expect(options).toMatchObject({ limits: {}, stdio: ['inherit', 'inherit', 'inherit'] });
  }
});

type Row = [flags: string, expected: Partial<CliOptions>];

test.each<Row>([
  ['-m 64m', { limits: { memory: '64m' } }],
  ['-m64m --cpus=0.5 --pids-limit 9', { limits: { memory: '64m', cpus: 0.5, pids: 9 } }],
  ['--cpuset-cpus 0-1 --cpu-time 2s', { limits: { cpuset: '0-1', cpuTime: 2000 } }],
  ['--no-limits', { limits: 'none' }],
  ['-m 64m --memory-swap 96m', { resources: { memory: { swap: 96 << 20 } } }],
  ['-m 64m --memory-swap -1', { resources: { memory: { swap: -1 } } }],
  ['--cpu-shares 512', { resources: { cpu: { shares: 512 } } }],
  [
    '--ulimit core=0 --ulimit nofile=5:6',
    { rlimits: { RLIMIT_CORE: [0, 0], RLIMIT_NOFILE: [5, 6] } },
  ],
  ['--oom-score-adj -5 --cgroup-parent /a', { oomScoreAdj: -5, cgroupParent: '/a' }],
  ['-v /a:/b:ro -v ./c:/d', { mounts: ['/a:/b:ro', './c:/d'] }],
  ['--rootfs /srv/root --read-only=false', { rootfs: '/srv/root', readonly: false }],
  ['--overlay /top --overlay /base', { rootfs: { lower: ['/top', '/base'] } }],
  ['--read-only --init', { readonly: true, init: true }],
  ['--read-only=true --no-init', { readonly: true, init: false }],
  ['--init=false', { init: false }],
  ['-u 1000:1000 -w /w -h box', { user: '1000:1000', cwd: '/w', hostname: 'box' }],
  ['--timeout 1.5s --stop-signal INT', { timeout: 1500, killSignal: 'SIGINT' }],
  ['--stop-timeout 1', { forceKillAfterDelay: 1000 }],
  ['--stop-timeout -1', { forceKillAfterDelay: false }],
  ['--network host', { network: 'host' }],
  ['--net host', { network: 'host' }],
  ['--cap-drop ALL --cap-add net_raw --cap-add CAP_KILL', { capabilities: ['NET_RAW', 'KILL'] }],
  ['--cap-add image', { capabilities: 'image' }],
  ['--security-opt no-new-privileges=false', { noNewPrivileges: false }],
  ['--security-opt seccomp=unconfined', { seccomp: 'unconfined' }],
  ['--security-opt apparmor=web', { apparmorProfile: 'web' }],
  ['--sysctl net.a=1 --sysctl net.b=2', { sysctl: { 'net.a': '1', 'net.b': '2' } }],
  ['--annotation a=b --rm', { annotations: { a: 'b' } }],
])('%s', (line, expected) => {
  expect(optionsOf(...line.split(' '))).toMatchObject(expected);
});

test('mounts keep the order of the command line', () => {
  const { mounts } = optionsOf('--tmpfs', '/a', '-v', '/x:/a/b', '--mount', 'type=tmpfs,dst=/c');
  expect(mounts?.map((mount) => (typeof mount === 'string' ? mount : mount.destination))).toEqual([
    '/a',
    '/x:/a/b',
    '/c',
  ]);
});

test('the library takes what the command line makes', () => {
  for (const line of [
    '-i -m 64m --memory-swap 64m --cpus 1 --pids-limit 9 --cpu-time 1s --cpu-shares 2',
    '--timeout 1s --stop-signal 2 --stop-timeout 0 -u nobody -w / -h a --network none --init',
    '--tmpfs /a:size=1m --mount type=bind,src=/srv,dst=/b,ro -v ./x:/c --cap-add image --read-only',
  ]) {
    expect(() => checkOptions(optionsOf(...line.split(' ')), machine)).not.toThrow();
  }
});

test('the environment is PATH, HOME, and what is given; -e wins over a file', () => {
  process.env.RINGFORT_TEST_TOKEN = 'secret';
  try {
    const { env } = optionsOf('-e', 'A=1', '-e', 'RINGFORT_TEST_TOKEN', '-e', 'RINGFORT_TEST_NONE');
    expect(env).toEqual({
      PATH: defaultPath,
      HOME: '/root',
      A: '1',
      RINGFORT_TEST_TOKEN: 'secret',
    });
  } finally {
    delete process.env.RINGFORT_TEST_TOKEN;
  }
  expect(optionsOf('-e', 'PATH=/bin', '-e', 'HOME=/h').env).toEqual({ PATH: '/bin', HOME: '/h' });
});

test.each([
  ['', '/root'],
  ['-u root', '/root'],
  ['-u 0:7', '/root'],
  ['-u 1000', '/home/user'],
  ['-u 1000 --rootfs host', '/home/user'],
  ['-u 1000 --rootfs /srv', '/'],
  ['-u 1000 --overlay /srv', '/'],
  ['--rootfs /srv', '/root'],
])('HOME with %j is %s', (line, home) => {
  expect(optionsOf(...line.split(' ').filter(Boolean)).env?.HOME).toBe(home);
});

test('a terminal has our size and TERM, or the usual ones', () => {
  const window = () => ({ cols: 100, rows: 30 });
  const joined = parse(['-it', 'sh'], { stdinIsTerminal: true, term: 'vt100', window });
  expect(joined.options).toMatchObject({
    pty: { cols: 100, rows: 30 },
    stdio: ['inherit', 'inherit', 'inherit'],
    env: { TERM: 'vt100' },
  });
  const watched = parse(['-t', 'sh']).options;
  expect(watched).toMatchObject({
    pty: { cols: 80, rows: 24 },
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { TERM: 'xterm' },
  });
  expect(() => checkOptions(watched, machine)).not.toThrow();
  expect(() => checkOptions(joined.options, machine)).not.toThrow();
});

test.each([
  ['--no-limits -m 64m', '--no-limits: not beside a limit'],
  ['--memory-swap 64m', '--memory-swap: needs --memory'],
  ['--overlay /a --rootfs /b', '--overlay: not beside --rootfs'],
  ['--cap-add ALL', '--cap-add: name each'],
  ['--cap-add image --cap-add KILL', "'image' stands alone"],
  ['--cap-add image --cap-drop KILL', "'image' stands alone"],
  ['--cap-add KILL --cap-drop CAP_KILL', '--cap-drop: KILL is also added'],
  ['-it', 'the input device is not a TTY'],
])('%s is a usage error', (line, message) => {
  expect(() => optionsOf(...line.split(' '))).toThrow(UsageError);
  expect(() => optionsOf(...line.split(' '))).toThrow(message);
});

test.each([
  [['--memroy', '1g', 'true'], "unknown option '--memroy'"],
  [['--memory'], "option '-m, --memory <size>' argument missing"],
  [[], "missing required argument 'program'"],
  [['--ulimit', 'nofile', 'true'], "option '--ulimit <name=soft[:hard]>' argument 'nofile'"],
  [['--env-file', '/nonexistent', 'true'], 'ENOENT'],
  [['--security-opt', 'seccomp=/proc/version', 'true'], '/proc/version: '],
])('%j is refused by name', (line, message) => {
  expect(() => parse(line)).toThrow(CommanderError);
  expect(() => parse(line)).toThrow(message);
});

test('errors of the library find the flag by its option', () => {
  expect(flagOf('limits.memory')).toBe('--memory');
  expect(flagOf('cwd')).toBe('--workdir');
  expect(flagOf('readonly')).toBe('--read-only');
  expect(flagOf('limits.io')).toBeUndefined();
  const set = Object.values(flagGroups)
    .flat()
    .flatMap(({ sets }) => sets ?? []);
  expect(new Set(set).size).toBe(set.length);
});
