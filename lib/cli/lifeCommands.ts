import { Command, Option } from 'commander';
import { Container, type ContainerExit, StateError } from '../index.js';
import { action, eachContainer, resolveId, withContainer } from './containers.js';
import { codeOfResult } from './exitCode.js';
import { parseSignal, parseStopTimeout } from './parse.js';

/** OCI's annotation for the signal that `run --stop-signal` gives a detached container. */
export const stopSignalAnnotation = 'org.opencontainers.image.stopSignal';

/** Node's timers end here, ms. */
const longestTimer = 2 ** 31 - 1;

/** The exit code of a container that has ended. */
export function codeOfExit(exit: ContainerExit): number {
  return codeOfResult({ ...exit, failed: exit.exitCode !== 0 });
}

/** A command that takes containers, and does the same to each. */
function many(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .argument('<container...>', 'ids, or beginnings of ids');
}

function pauseCommand(): Command {
  return many('pause', 'Stop every process of containers where it is').action(
    action((words: string[]) =>
      eachContainer(words, (word) =>
        withContainer(word, async (box) => {
          await box.pause();
          return box.id;
        }),
      ),
    ),
  );
}

function unpauseCommand(): Command {
  return many('unpause', 'Let paused containers run on')
    .alias('resume')
    .action(
      action((words: string[]) =>
        eachContainer(words, (word) =>
          withContainer(word, async (box) => {
            await box.resume();
            return box.id;
          }),
        ),
      ),
    );
}

async function kill(box: Container, signal: NodeJS.Signals | number): Promise<string> {
  if (!box.kill(signal)) {
    throw new StateError('ERR_CONTAINER_NOT_RUNNING', `container ${box.id} is not running`, {
      hint: 'it has ended; `ringfort rm` removes it',
    });
  }
  // Gone when this process is, it might not have been sent.
  if (signal === 'SIGKILL' || signal === 9) await box.wait();
  return box.id;
}

function killCommand(): Command {
  return many('kill', 'Send a signal to containers; SIGKILL ends everything in them')
    .addOption(
      new Option('-s, --signal <signal>', 'such as TERM, SIGTERM or 15')
        .argParser(parseSignal)
        .default('SIGKILL', 'SIGKILL'),
    )
    .action(
      action((words: string[], { signal }: { signal: NodeJS.Signals | number }) =>
        eachContainer(words, (word) => withContainer(word, (box) => kill(box, signal))),
      ),
    );
}

interface StopOptions {
  time: number | false;
  signal?: NodeJS.Signals | number;
}

async function stop(box: Container, { time, signal }: StopOptions): Promise<string> {
  // Frozen, it could not do what it is asked to.
  if (box.state === 'paused') await box.resume();
  const own = box.spec.annotations?.[stopSignalAnnotation];
  const first = signal ?? (own === undefined ? 'SIGTERM' : parseSignal(own));
  if (time === false) {
    box.kill(first);
    await box.wait();
  } else await box.stop({ signal: first, timeout: Math.min(time, longestTimer) });
  return box.id;
}

function stopCommand(): Command {
  return many('stop', 'Ask containers to end, and kill those that do not')
    .addOption(
      new Option('-t, --time <seconds>', 'until SIGKILL; -1: never')
        .argParser(parseStopTimeout)
        .default(10_000, '10'),
    )
    .option('-s, --signal <signal>', 'the first signal (default: SIGTERM)', parseSignal)
    .action(
      action((words: string[], options: StopOptions) =>
        eachContainer(words, (word) => withContainer(word, (box) => stop(box, options))),
      ),
    );
}

function waitCommand(): Command {
  return many('wait', 'Wait until containers have ended, and print their exit codes').action(
    action((words: string[]) =>
      eachContainer(words, (word) =>
        withContainer(word, async (box) => String(codeOfExit(await box.wait()))),
      ),
    ),
  );
}

function rmCommand(): Command {
  return many('rm', 'Remove what is kept of containers that have ended: exit code, log, state')
    .option('-f, --force', 'end those that run with SIGKILL')
    .action(
      action((words: string[], { force = false }: { force?: boolean }) =>
        eachContainer(words, async (word) => {
          const id = await resolveId(word);
          await Container.remove(id, { force });
          return id;
        }),
      ),
    );
}

/** The commands that change what becomes of a container. */
export function lifeCommands(): Command[] {
  return [
    pauseCommand(),
    unpauseCommand(),
    killCommand(),
    stopCommand(),
    waitCommand(),
    rmCommand(),
  ];
}
