import { type Command, Option } from 'commander';
import { defaultPath, parseSize, type RunOptions } from '../index.js';
import { type Draft, emptyDraft } from './draft.js';
import { UsageError } from './errors.js';
import { type FlagGroups, flagGroups } from './flags.js';

/** docker's own `--stop-timeout`, ms. */
const defaultStopTimeout = 10_000;

/** Size of a terminal that nobody sees. */
export const defaultWindow = { cols: 80, rows: 24 };

/** What the command line needs to know of this process. */
export interface Surroundings {
  /** TERM of this process. */
  term: string | undefined;
  stdinIsTerminal: boolean;
  /** Size of our own terminal; undefined where stdout is none. */
  window(): { cols: number; rows: number } | undefined;
}

/** What the command line can say of the library's options. */
export type CliOptions = Omit<RunOptions, 'encoding'>;

/** Adds options to a command, by default all that `run` and `explain` have. @returns what they will have said once it is parsed */
export function declareOptions(command: Command, groups: FlagGroups = flagGroups): Draft {
  const draft = emptyDraft();
  for (const [heading, flags] of Object.entries(groups)) {
    for (const flag of flags) {
      const declare = (spelling: string) =>
        new Option(spelling, flag.help).helpGroup(heading).argParser((text: string) => {
          flag.apply(draft, text);
          return text;
        });
      const main = declare(flag.flags);
      if (!flag.flags.includes('<')) main.preset('true');
      command.addOption(main);
      for (const [spelling, text] of Object.entries(flag.also ?? {}))
        command.addOption(declare(spelling).preset(text).hideHelp());
    }
  }
  return draft;
}

/**
 * The library's options for what the command line said.
 * @throws UsageError where options contradict each other
 * @throws InvalidSpecError for a size that cannot be read
 */
export function toRunOptions(draft: Draft, around: Surroundings): CliOptions {
  const rootfs = rootfsOf(draft);
  return {
    forceKillAfterDelay: defaultStopTimeout,
    ...draft.options,
    ...(rootfs !== undefined && { rootfs }),
    ...limitsOf(draft),
    ...resourcesOf(draft),
    ...capabilitiesOf(draft),
    env: environmentOf(draft, around),
    ...streamsOf(draft, around),
  };
}

function rootfsOf({ overlay, options }: Draft): RunOptions['rootfs'] {
  if (overlay.length === 0) return options.rootfs;
  if (options.rootfs !== undefined) throw new UsageError('--overlay: not beside --rootfs');
  return { lower: overlay };
}

function limitsOf({ noLimits, limits }: Draft): Pick<RunOptions, 'limits'> {
  if (!noLimits) return { limits };
  if (Object.keys(limits).length > 0) throw new UsageError('--no-limits: not beside a limit');
  return { limits: 'none' };
}

function resourcesOf(draft: Draft): Pick<RunOptions, 'resources'> {
  const { memorySwap, cpuShares, limits } = draft;
  if (memorySwap !== undefined && limits.memory === undefined)
    throw new UsageError('--memory-swap: needs --memory, which it is the sum of with swap');
  const swap = memorySwap === '-1' ? -1 : memorySwap && parseSize(memorySwap, '--memory-swap');
  const resources = {
    ...(typeof swap === 'number' && { memory: { swap } }),
    ...(cpuShares !== undefined && { cpu: { shares: cpuShares } }),
  };
  return Object.keys(resources).length === 0 ? {} : { resources };
}

/** Nothing is there to be dropped, so `ALL` drops it, and any other name must not be added. */
function capabilitiesOf({ capAdd, capDrop }: Draft): Pick<RunOptions, 'capabilities'> {
  const name = (text: string) => text.toUpperCase().replace(/^CAP_/, '');
  const added = capAdd.map(name);
  if (added.includes('ALL')) throw new UsageError('--cap-add: name each, there is no ALL');
  const dropped = capDrop.map(name).filter((word) => word !== 'ALL');
  if (added.includes('IMAGE')) {
    if (added.length > 1 || dropped.length > 0)
      throw new UsageError("--cap-add: 'image' stands alone; else name the capabilities");
    return { capabilities: 'image' };
  }
  const both = dropped.find((word) => added.includes(word));
  if (both !== undefined) throw new UsageError(`--cap-drop: ${both} is also added`);
  return added.length === 0 ? {} : { capabilities: added };
}

/** Home of the private root, or of root in a root of its own, which is all we know of that. */
function homeOf({ overlay, options }: Draft): string {
  const user = options.user?.split(':')[0] ?? '0';
  if (user === '0' || user === 'root') return '/root';
  const isHost = overlay.length === 0 && (options.rootfs ?? 'host') === 'host';
  return isHost ? '/home/user' : '/';
}

function environmentOf(draft: Draft, { term }: Surroundings): Record<string, string> {
  return {
    PATH: defaultPath,
    HOME: homeOf(draft),
    ...(draft.tty && { TERM: term ?? 'xterm' }),
    ...Object.fromEntries(draft.envFile),
    ...Object.fromEntries(draft.env),
  };
}

/**
 * The streams of a program in the foreground.
 * @throws UsageError for -it without a terminal
 */
export function streamsOf(draft: Draft, around: Surroundings): Pick<RunOptions, 'stdio' | 'pty'> {
  const { interactive, tty } = draft;
  if (interactive && tty && !around.stdinIsTerminal)
    throw new UsageError('--tty: the input device is not a TTY, leave out -t or -i');
  return {
    stdio: [interactive ? 'inherit' : 'ignore', 'inherit', 'inherit'],
    ...(tty && { pty: around.window() ?? defaultWindow }),
  };
}
