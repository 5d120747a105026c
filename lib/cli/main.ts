import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { attachCommand } from './attach.js';
import { cpCommand } from './cp.js';
import { doctorCommand } from './doctor.js';
import { printError } from './errors.js';
import { eventsCommand } from './events.js';
import { execCommand } from './exec.js';
import { codeOfError, ownFailure } from './exitCode.js';
import { explainCommand } from './explain.js';
import { endWithTerminal } from './hangUp.js';
import { inspectCommand } from './inspect.js';
import { lifeCommands } from './lifeCommands.js';
import { logsCommand } from './logs.js';
import { psCommand } from './ps.js';
import { runCommand } from './run.js';
import { statsCommand } from './stats.js';
import { topCommand } from './top.js';
import { updateCommand } from './update.js';

/** The package's, two directories above the compiled file's own. */
function version(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** All of them, in the order of the help. */
function commands(): Command[] {
  const onDetached = [psCommand(), execCommand(), attachCommand(), logsCommand(), cpCommand()];
  const views = [statsCommand(), topCommand(), eventsCommand(), inspectCommand()];
  return [
    runCommand(),
    ...onDetached,
    ...views,
    ...[...lifeCommands(), updateCommand()],
    ...[explainCommand(), doctorCommand()],
  ];
}

function ringfort(): Command {
  const program = new Command('ringfort')
    .description('Real Linux containers: no daemon, no root, no image')
    .version(version(), '--version')
    .helpOption('--help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .enablePositionalOptions();
  for (const command of commands()) {
    program.addCommand(command.helpOption('--help', 'show this help'));
  }
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'ringfort: ')),
    });
  }
  return program;
}

endWithTerminal();
try {
  await ringfort().parseAsync();
} catch (error) {
  // What commander threw it has printed: help and version too, which are no failure.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : ownFailure;
  else {
    printError(error);
    process.exitCode = codeOfError(error);
  }
}
