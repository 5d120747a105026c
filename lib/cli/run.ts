import { Command } from 'commander';
import { type RunResult, run } from '../index.js';
import { codeOfResult, codeOfSignal, limitMessage } from './exitCode.js';
import { type CliOptions, declareOptions, toRunOptions } from './options.js';
import { forwardSignals } from './signals.js';
import { surroundings } from './surroundings.js';

/** `ringfort run`. */
export function runCommand(): Command {
  const command = new Command('run')
    .description('Run a program in a container of its own')
    .argument('<program>', "the program, looked up in the container's PATH")
    .argument('[arguments...]', 'its arguments, options and all')
    .passThroughOptions();
  const draft = declareOptions(command);
  return command.action(async (program: string, args: string[]) => {
    process.exitCode = await runProgram(program, args, toRunOptions(draft, surroundings()));
  });
}

async function runProgram(program: string, args: string[], options: CliOptions): Promise<number> {
  forwardSignals(options);
  try {
    const result = await run(program, args, options);
    const limits = options.limits === 'none' ? {} : options.limits;
    const { timeout } = options;
    const message = limitMessage(result.reason, { ...limits, ...(timeout && { timeout }) });
    if (message !== undefined) process.stderr.write(`ringfort: ${message}\n`);
    return codeOfResult(result);
  } catch (error) {
    if (options.signal?.aborted !== true || (error as Error).name !== 'AbortError') throw error;
    const { result } = error as { result?: RunResult };
    return result === undefined
      ? codeOfSignal(options.signal.reason)
      : codeOfResult({ ...result, failed: result.exitCode !== 0 });
  }
}
