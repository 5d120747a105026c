import { Command } from 'commander';
import type { LimitsUpdate } from '../index.js';
import { action, eachContainer, withContainer } from './containers.js';
import { UsageError } from './errors.js';
import { parseNumber } from './parse.js';

/** A limit that is taken away; commander would make a text of null. */
export const none = Symbol('none');

/** docker's -1 takes a limit away. */
function orNone<T>(parse: (text: string) => T): (text: string) => T | typeof none {
  return (text) => (text === '-1' ? none : parse(text));
}

function orNull<T>(value: T | typeof none): T | null {
  return value === none ? null : (value as T);
}

interface UpdateOptions {
  memory?: string | typeof none;
  cpus?: number | typeof none;
  pidsLimit?: number | typeof none;
  cpusetCpus?: string;
}

/**
 * The library's limits for those that the command line names.
 * @throws UsageError where it names none
 */
export function toUpdate({ memory, cpus, pidsLimit, cpusetCpus }: UpdateOptions): LimitsUpdate {
  const limits: LimitsUpdate = {
    ...(memory !== undefined && { memory: orNull(memory) }),
    ...(cpus !== undefined && { cpus: orNull(cpus) }),
    ...(pidsLimit !== undefined && { pids: orNull(pidsLimit) }),
    ...(cpusetCpus !== undefined && { cpuset: cpusetCpus }),
  };
  if (Object.keys(limits).length === 0) throw new UsageError('update: name at least one limit');
  return limits;
}

/** `ringfort update`. */
export function updateCommand(): Command {
  return new Command('update')
    .description('Give containers other limits while they run; -1 takes one away')
    .argument('<container...>', 'ids, or beginnings of ids')
    .option('-m, --memory <size>', "RAM, such as '64m'", orNone(String))
    .option('--cpus <number>', "CPUs' worth of time, such as 0.5", orNone(parseNumber))
    .option('--cpuset-cpus <list>', "CPUs that it may run on, such as '0-1,3'")
    .option('--pids-limit <number>', 'processes and threads at once', orNone(parseNumber))
    .action(
      action((words: string[], options: UpdateOptions) => {
        const limits = toUpdate(options);
        return eachContainer(words, (word) =>
          withContainer(word, async (box) => {
            await box.update({ limits });
            return box.id;
          }),
        );
      }),
    );
}
