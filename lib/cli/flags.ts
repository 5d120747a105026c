import type { RunOptions } from '../index.js';
import { entry, limit, mount, note, option, readText, type Setter, setSecurity } from './draft.js';
import {
  parseBoolean,
  parseDuration,
  parseEnvFile,
  parseLabel,
  parseLogOption,
  parseMount,
  parseNumber,
  parsePair,
  parseSignal,
  parseStopTimeout,
  parseTmpfs,
  parseUlimit,
  parseVariable,
} from './parse.js';

/** One option of `ringfort run` and `ringfort explain`. */
export interface Flag extends Setter {
  /** As commander has it. An option without a value is applied as `'true'`. */
  flags: string;
  help: string;
  /** Other spellings that take no value, and what each is applied as. */
  also?: Readonly<Record<string, string>>;
}

const same = (text: string) => text;

const streams: Flag[] = [
  {
    flags: '-i, --interactive',
    help: 'connect stdin (else it is empty)',
    ...note((draft) => {
      draft.interactive = true;
    }),
  },
  {
    flags: '-t, --tty',
    help: 'give the program a terminal',
    ...note((draft) => {
      draft.tty = true;
    }),
  },
];

const limits: Flag[] = [
  {
    flags: '-m, --memory <size>',
    help: "RAM, such as '64m' (default: 512MiB)",
    ...limit('memory', same),
  },
  {
    flags: '--memory-swap <size>',
    help: 'RAM and swap together, beside --memory; -1: any swap (default: no swap)',
    ...note((draft, text) => {
      draft.memorySwap = text;
    }),
    sets: 'resources.memory.swap',
  },
  {
    flags: '--cpus <number>',
    help: "CPUs' worth of time, such as 0.5",
    ...limit('cpus', parseNumber),
  },
  {
    flags: '--cpu-shares <number>',
    help: 'share of CPU under contention, 2 to 262144 (default: 1024)',
    ...note((draft, text) => {
      draft.cpuShares = parseNumber(text);
    }),
    sets: 'resources.cpu.shares',
  },
  {
    flags: '--cpuset-cpus <list>',
    help: "CPUs that it may run on, such as '0-1,3'",
    ...limit('cpuset', same),
  },
  {
    flags: '--cpu-time <time>',
    help: "kill it after this much CPU time: ms, or '5s'",
    ...limit('cpuTime', parseDuration),
  },
  {
    flags: '--pids-limit <number>',
    help: 'processes and threads at once (default: 256)',
    ...limit('pids', parseNumber),
  },
  {
    flags: '--ulimit <name=soft[:hard]>',
    help: "limit of one process, such as 'nofile=1024:2048'",
    ...entry('rlimits', parseUlimit),
  },
  {
    flags: '--no-limits',
    help: 'give up all limits that need a cgroup',
    ...note((draft) => {
      draft.noLimits = true;
    }),
  },
  {
    flags: '--cgroup-parent <path>',
    help: "cgroup to make the container's below",
    ...option('cgroupParent', same),
  },
  {
    flags: '--oom-score-adj <number>',
    help: '-1000 to 1000 (default: 500)',
    ...option('oomScoreAdj', parseNumber),
  },
];

const files: Flag[] = [
  {
    flags: '-v, --volume <source:target[:option,…]>',
    help: "bind mount, such as './src:/src:ro'",
    ...mount(same),
  },
  {
    flags: '--mount <type=…,source=…,target=…>',
    help: "mount of type 'bind' or 'tmpfs' in docker's words",
    ...mount(parseMount),
  },
  {
    flags: '--tmpfs <path[:option,…]>',
    help: "file system in memory, such as '/scratch:size=16m'",
    ...mount(parseTmpfs),
  },
  {
    flags: '--rootfs <directory>',
    help: "root file system: a directory, or 'host' (default) for the host's /usr read-only",
    ...option('rootfs', same),
  },
  {
    flags: '--overlay <directory>',
    help: 'root of read-only layers, the topmost first (repeat it); what is written is gone after',
    ...note(({ overlay }, text) => overlay.push(text)),
  },
  {
    flags: '--read-only',
    help: 'read-only root (default, but not of an overlay); --read-only=false: a writable one',
    also: { '--read-only=true': 'true', '--read-only=false': 'false' },
    ...option('readonly', parseBoolean),
  },
];

const program: Flag[] = [
  {
    flags: '-e, --env <name[=value]>',
    help: "environment variable, beside PATH and HOME; without a value the host's",
    ...note(({ env }, text) => {
      const variable = parseVariable(text, process.env);
      if (variable !== undefined) env.set(...variable);
    }),
  },
  {
    flags: '--env-file <file>',
    help: 'variables from a file, one a line',
    ...note(({ envFile }, path) => {
      for (const variable of parseEnvFile(readText(path), process.env)) envFile.set(...variable);
    }),
  },
  {
    flags: '-u, --user <user[:group]>',
    help: 'names or ids in the container (default: 0)',
    ...option('user', same),
  },
  {
    flags: '-w, --workdir <path>',
    help: 'working directory in the container',
    ...option('cwd', same),
  },
  {
    flags: '--init',
    help: 'our init as pid 1 (default); --no-init: the program itself is pid 1',
    also: { '--no-init': 'false', '--init=true': 'true', '--init=false': 'false' },
    ...option('init', parseBoolean),
  },
  {
    flags: '--timeout <time>',
    help: "end it after this time: ms, or '5s'",
    ...option('timeout', parseDuration),
  },
  {
    flags: '--stop-signal <signal>',
    help: 'what a timeout sends first (default: SIGTERM)',
    ...option('killSignal', parseSignal),
  },
  {
    flags: '--stop-timeout <seconds>',
    help: 'from the first signal to SIGKILL; -1: never (default: 10)',
    ...option('forceKillAfterDelay', parseStopTimeout),
  },
];

const walls: Flag[] = [
  {
    flags: '-h, --hostname <name>',
    help: "host name (default: the container's id)",
    ...option('hostname', same),
  },
  {
    flags: '--network <mode>',
    help: "'none' (default: loopback alone) or 'host'",
    ...option('network', (text) => text as NonNullable<RunOptions['network']>),
  },
  {
    flags: '--net <mode>',
    help: "docker's other spelling of --network",
    ...note(({ options }, text) => {
      options.network = text as NonNullable<RunOptions['network']>;
    }),
  },
  {
    flags: '--cap-add <capability>',
    help: "add a capability to none, or 'image': the nine that images expect",
    ...note(({ capAdd }, text) => capAdd.push(text)),
    sets: 'capabilities',
  },
  {
    flags: '--cap-drop <capability>',
    help: "accepted as docker's: a container starts with none",
    ...note(({ capDrop }, text) => capDrop.push(text)),
  },
  {
    flags: '--security-opt <option>',
    help: 'seccomp=FILE, seccomp=unconfined, no-new-privileges=false, apparmor=PROFILE',
    ...note(setSecurity),
  },
  {
    flags: '--sysctl <name=value>',
    help: 'sysctl of one of its namespaces',
    ...entry('sysctl', parsePair),
  },
  {
    flags: '--annotation <name=value>',
    help: 'annotation of the OCI spec',
    ...entry('annotations', parsePair),
  },
  {
    flags: '--rm',
    help: "accepted as docker's: nothing is left of what is not detached",
    ...note((draft) => {
      draft.remove = true;
    }),
  },
];

const detached: Flag[] = [
  {
    flags: '-d, --detach',
    help: 'leave it running, and print its id; without a program it lives for exec',
    ...note((draft) => {
      draft.detach = true;
    }),
  },
  {
    flags: '--name <name>',
    help: 'its id, with -d: letters, digits, _ and - (default: 12 hexadecimal digits)',
    ...note((draft, text) => {
      draft.name = text;
    }),
    sets: 'id',
  },
  {
    flags: '-l, --label <name[=value]>',
    help: 'something to find it by, with -d',
    ...note(({ labels }, text) => labels.set(...parseLabel(text))),
  },
  {
    flags: '--log-opt <name=value>',
    help: "what is kept of its output, with -d: 'max-size=10m' a file, 'max-file=3' files",
    ...note(({ logs }, text) => Object.assign(logs, parseLogOption(text))),
  },
];

/** Options under the headings that the help has for them. */
export type FlagGroups = Readonly<Record<string, readonly Flag[]>>;

/** Every option of `run` and `explain`. */
export const flagGroups: FlagGroups = {
  'Streams:': streams,
  'Limits:': limits,
  'Files:': files,
  'Program:': program,
  'Walls:': walls,
};

/** What `run` has beside those. */
export const runGroups: FlagGroups = { ...flagGroups, 'Detached:': detached };

/** Those of a program that `exec` has, and its own words for them. */
const ofExec: Readonly<Record<string, string>> = {
  '-e, --env <name[=value]>': "environment variable, beside the container's",
  '--env-file <file>': 'variables from a file, one a line',
  '-u, --user <user[:group]>': "names or ids in the container (default: the container's)",
  '-w, --workdir <path>': "working directory (default: the container's)",
};

/** What `exec` has of them. */
export const execGroups: FlagGroups = {
  'Streams:': streams,
  'Program:': program.flatMap((flag) => {
    const help = ofExec[flag.flags];
    return help === undefined ? [] : [{ ...flag, help }];
  }),
};

/** The flag that sets an option of the library: `--memory` for `limits.memory`. */
export function flagOf(option: string): string | undefined {
  const flag = Object.values(runGroups)
    .flat()
    .find(({ sets }) => sets === option);
  return /--[a-z-]+/.exec(flag?.flags ?? '')?.[0];
}

/** What the library advises, in the words of the command line. */
export function advice(text: string): string {
  return text
    .replaceAll("limits: 'none'", '--no-limits')
    .replaceAll('cgroupParent', '--cgroup-parent')
    .replace('or say `force: true`', 'or use `rm -f`')
    .replace('resume it first', '`ringfort unpause` it first')
    .replace(/Container\.remove\(id, \{ force: true \}\)/, '`ringfort rm -f`');
}
