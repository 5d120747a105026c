import { Command, Option } from 'commander';
import type { Container, ExecOptions } from '../index.js';
import { action, withContainer } from './containers.js';
import type { Draft } from './draft.js';
import { handOver, hold } from './execDetached.js';
import { execGroups } from './flags.js';
import { foreground } from './foreground.js';
import { declareOptions, streamsOf } from './options.js';
import { forwardSignals } from './signals.js';
import { surroundings } from './surroundings.js';

/** ms from a signal that is passed on to SIGKILL, as `run` has it. */
const killDelay = 10_000;

/** The environment of the container with what `exec` adds; undefined where it adds nothing. */
export function environmentOf(
  inherited: readonly string[],
  { tty, env, envFile }: Pick<Draft, 'tty' | 'env' | 'envFile'>,
  term: string | undefined,
): Record<string, string> | undefined {
  if (!tty && env.size === 0 && envFile.size === 0) return undefined;
  const before = inherited.map((text): [string, string] => {
    const at = text.indexOf('=');
    return [text.slice(0, at), text.slice(at + 1)];
  });
  return {
    ...Object.fromEntries(before),
    ...(tty && { TERM: term ?? 'xterm' }),
    ...Object.fromEntries(envFile),
    ...Object.fromEntries(env),
  };
}

/** What of the program does not depend on who waits for it. */
function programOptions(box: Container, draft: Draft): Pick<ExecOptions, 'env' | 'user' | 'cwd'> {
  const { user, cwd } = draft.options;
  const env = environmentOf(box.spec.process?.env ?? [], draft, process.env.TERM);
  return {
    ...(env !== undefined && { env }),
    ...(user !== undefined && { user }),
    ...(cwd !== undefined && { cwd }),
  };
}

interface ExecFlags {
  detach?: true;
  held?: true;
}

/** `ringfort exec`. */
export function execCommand(): Command {
  const command = new Command('exec')
    .description('Run a program in a container that runs')
    .argument('<container>', 'id, or beginning of an id')
    .argument('<program>', "the program, looked up in the container's PATH")
    .argument('[arguments...]', 'its arguments, options and all')
    .passThroughOptions()
    .option('-d, --detach', 'do not wait for it; a process of ours stays until it has ended')
    .addOption(new Option('--held').hideHelp());
  const draft = declareOptions(command, execGroups);
  const exec = action(async (word: string, [program = '', ...args]: string[], flags: ExecFlags) => {
    if (flags.detach === true && flags.held !== true) return handOver();
    const streams = flags.held === true ? {} : streamsOf(draft, surroundings());
    return withContainer(word, async (box) => {
      const about = programOptions(box, draft);
      if (flags.held === true) return hold(box, [program, ...args], about, draft.tty);
      const options: Omit<ExecOptions, 'encoding'> = {
        ...about,
        ...streams,
        forceKillAfterDelay: killDelay,
      };
      forwardSignals(options);
      return (await foreground(box.exec(program, args, options), options)).code;
    });
  });
  return command.action((word: string, first: string, others: string[], flags: ExecFlags) => {
    // kubectl's habit; commander takes a `--` only before the container.
    const argv = first === '--' ? others : [first, ...others];
    if (argv.length === 0) command.error("error: missing required argument 'program'");
    return exec(word, argv, flags);
  });
}
