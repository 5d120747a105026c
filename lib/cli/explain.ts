import { Command } from 'commander';
import { explain } from '../index.js';
import { declareOptions, toRunOptions } from './options.js';
import { surroundings } from './surroundings.js';

/** `ringfort explain`: takes what `run` takes. */
export function explainCommand(): Command {
  const command = new Command('explain')
    .description('Print what run would ask of the kernel, step by step, and do none of it')
    .argument('<program>', "the program, looked up in the container's PATH")
    .argument('[arguments...]', 'its arguments, options and all')
    .passThroughOptions();
  const draft = declareOptions(command);
  return command.action(async (program: string, args: string[]) => {
    // Nothing is connected, so -it needs no terminal here.
    const options = toRunOptions(draft, { ...surroundings(), stdinIsTerminal: true });
    process.stdout.write(await explain(program, args, options));
  });
}
