import { Command } from 'commander';
import { formatDoctor, probe } from '../index.js';
import { advice } from './flags.js';

/** `ringfort doctor`: exits with 0 where containers run with their limits, else with 1. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Find out what this kernel and user can do, and how to mend what is missing')
    .option('--json', 'print the report as JSON')
    .action(async ({ json }: { json?: true }) => {
      const report = await probe();
      process.stdout.write(
        json === true ? `${JSON.stringify(report, null, 2)}\n` : advice(formatDoctor(report)),
      );
      process.exitCode = report.usable ? 0 : 1;
    });
}
