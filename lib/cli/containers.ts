import { type Command, InvalidArgumentError } from 'commander';
import { Container, type ContainerSummary } from '../index.js';
import { printError, UsageError } from './errors.js';
import { codeOfError, failure } from './exitCode.js';
import { endWithReader, print } from './output.js';

/**
 * The container that a word means: its id, or a beginning that no other one has.
 * @throws UsageError for a beginning of several; NotFoundError when it is opened, for one of none
 */
export function matchId(word: string, ids: readonly string[]): string {
  if (ids.includes(word)) return word;
  const found = word === '' ? [] : ids.filter((id) => id.startsWith(word));
  if (found.length > 1)
    throw new UsageError(`${word}: several containers begin so: ${found.join(', ')}`);
  return found[0] ?? word;
}

/** The id of a container that is called by its id or by a beginning of it. */
export async function resolveId(word: string): Promise<string> {
  return matchId(
    word,
    (await Container.list({ all: true })).map(({ id }) => id),
  );
}

/** Opens a container for as long as something is done with it. */
export async function withContainer<T>(
  word: string,
  use: (container: Container) => Promise<T>,
): Promise<T> {
  const container = await Container.open(await resolveId(word));
  try {
    return await use(container);
  } finally {
    await container[Symbol.asyncDispose]();
  }
}

/**
 * Does something to each of several at once; prints the name of each that it was done to, and what
 * went wrong with the others.
 * @returns the exit code
 */
export async function eachContainer(
  words: readonly string[],
  use: (word: string) => Promise<string | undefined>,
): Promise<number> {
  let code = 0;
  await Promise.all(
    words.map(async (word) => {
      try {
        const line = await use(word);
        if (line !== undefined) await print(`${line}\n`);
      } catch (error) {
        printError(error);
        code = failure;
      }
    }),
  );
  return code;
}

/**
 * The action of a command on detached containers: its exit code is what `act` says, docker's 1 for
 * an error, and for a program that cannot be started 126 and 127.
 */
export function action<Args extends unknown[]>(
  act: (...args: Args) => Promise<number | undefined>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    endWithReader();
    try {
      process.exitCode = (await act(...args)) ?? 0;
    } catch (error) {
      printError(error);
      process.exitCode = codeOfError(error, failure);
    }
  };
}

/** Adds `--format`, of which there is `json` beside the default. */
export function withFormat(command: Command, standard: string): Command {
  return command.option(
    '--format <format>',
    `'${standard}' or 'json': one object a line`,
    (text: string) => {
      if (text !== 'json' && text !== standard)
        throw new InvalidArgumentError(`Expected '${standard}' or 'json'; there are no templates.`);
      return text;
    },
    standard,
  );
}

/** Collects the uses of an option that may be repeated. */
export function repeated(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}

/** docker's word for the state of a container. */
export function stateWord({ state }: ContainerSummary): string {
  return state === 'stopped' ? 'exited' : state;
}
