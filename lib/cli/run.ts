import { Command } from 'commander';
import { run } from '../index.js';
import { runDetached, toCreateOptions } from './detach.js';
import type { Draft } from './draft.js';
import { UsageError } from './errors.js';
import { limitMessage } from './exitCode.js';
import { runGroups } from './flags.js';
import { foreground } from './foreground.js';
import { type CliOptions, declareOptions, toRunOptions } from './options.js';
import { forwardSignals } from './signals.js';
import { surroundings } from './surroundings.js';

/** `ringfort run`. */
export function runCommand(): Command {
  const command = new Command('run')
    .description('Run a program in a container of its own')
    .argument('[program]', "the program, looked up in the container's PATH")
    .argument('[arguments...]', 'its arguments, options and all')
    .passThroughOptions();
  const draft = declareOptions(command, runGroups);
  return command.action(async (program: string | undefined, args: string[]) => {
    if (draft.detach) {
      const argv = program === undefined ? undefined : [program, ...args];
      process.exitCode = await runDetached(toCreateOptions(draft, surroundings(), argv));
      return;
    }
    checkForeground(draft);
    if (program === undefined) throw new UsageError("missing required argument 'program'");
    process.exitCode = await runProgram(program, args, toRunOptions(draft, surroundings()));
  });
}

/** @throws UsageError for what only a detached container has */
function checkForeground({ name, labels, logs }: Draft): void {
  const only = (flag: string) => new UsageError(`${flag}: only with -d`);
  if (name !== undefined) throw only('--name');
  if (labels.size > 0) throw only('--label');
  if (Object.keys(logs).length > 0) throw only('--log-opt');
}

async function runProgram(program: string, args: string[], options: CliOptions): Promise<number> {
  forwardSignals(options);
  const { code, result } = await foreground(run(program, args, options), options);
  const limits = options.limits === 'none' ? {} : options.limits;
  const { timeout } = options;
  const message = result && limitMessage(result.reason, { ...limits, ...(timeout && { timeout }) });
  if (message !== undefined) process.stderr.write(`ringfort: ${message}\n`);
  return code;
}
