import { throwIfAborted } from './abort.js';
import { complete } from './complete.js';
import { Trace } from './diagnostics.js';
import { launch } from './launch.js';
import type { RunOptions } from './options.js';
import { recipeOf } from './recipe.js';
import type { RunResult } from './result.js';
import { annotation } from './spec/annotations.js';
import { newId, specOf } from './specOf.js';
import { beginTrace, mark } from './trace.js';

/**
 * Runs one program in a container of its own and waits for its end.
 *
 * The program sees a root file system, users, processes and a network of its own; it has no
 * capabilities, a seccomp filter, and limits. A program that fails is a result, not an error.
 *
 * @param file program, looked up in the container's PATH when it has no `/`; never a shell line
 * @param args its arguments
 * @returns what it left; see `RunResult`. stdout and stderr are strings, or Buffers with
 *   `encoding: 'buffer'`; options of the bare type `RunOptions` leave open which
 * @throws InvalidSpecError for a wrong option, before anything is created
 * @throws NotFoundError `ERR_PROGRAM_NOT_FOUND`, `ERR_SOURCE_NOT_FOUND`, `ERR_USER_NOT_FOUND`, …
 * @throws UnsupportedError, PermissionError for a wall or limit that cannot be had here
 * @throws AbortError when `signal` was aborted; the program is gone then, and `result`, if it had
 *   started, is what it left
 * @throws ContainerError `ERR_INPUT` when the `input` stream fails: a guest that was given half of
 *   its input is killed; `ERR_MAX_BUFFER`, with `result`, as `maxBufferAction: 'error'` asks
 * @throws ExitError with `reject: true`
 */
export function run(
  file: string,
  args: readonly string[],
  options: RunOptions & { encoding: 'buffer' },
): Promise<RunResult<Buffer>>;
export function run(
  file: string,
  args?: readonly string[],
  options?: RunOptions & { encoding?: BufferEncoding | undefined },
): Promise<RunResult<string>>;
export function run(
  file: string,
  args: readonly string[] | undefined,
  options: RunOptions,
): Promise<RunResult<string | Buffer>>;
export async function run(
  file: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<RunResult<string | Buffer>> {
  const id = newId();
  beginTrace(id);
  const recipe = recipeOf(file, args, options);
  const spec = recipe?.spec ?? specOf(id, file, args, options);
  mark(id, 'spec made');
  const cpuTime = spec.annotations?.[annotation.cpuTime];
  return complete(
    {
      id,
      command: [file, ...args],
      trace: () => new Trace({ containerId: id, file }),
      cpuTime: cpuTime === undefined ? undefined : Number(cpuTime),
      start: (stdio, signal) =>
        launch({
          id,
          spec,
          recipe,
          giveUp: {
            signals: () => [options.signal, signal],
            check() {
              throwIfAborted(options.signal);
              signal.throwIfAborted();
            },
          },
          fds: stdio.fds,
          onSent: stdio.sent,
          ...(stdio.terminal && { onPty: stdio.terminal }),
        }),
    },
    options,
  );
}
