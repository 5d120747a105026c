import { type CreateOptions, createContainer } from '../index.js';
import type { Draft } from './draft.js';
import { UsageError } from './errors.js';
import { codeOfSignal } from './exitCode.js';
import { stopSignalAnnotation } from './lifeCommands.js';
import { defaultWindow, type Surroundings, toRunOptions } from './options.js';
import { endWithReader, print } from './output.js';
import { forwardSignals } from './signals.js';

/** @throws UsageError for what needs somebody who stays */
function checkDetached({ options, remove, interactive, tty }: Draft, command?: string[]): void {
  if (remove) throw new UsageError('--rm: not with -d; `ringfort rm` removes what has ended');
  if (options.timeout !== undefined)
    throw new UsageError('--timeout: not with -d, where nobody would wait for it');
  if (options.forceKillAfterDelay !== undefined)
    throw new UsageError('--stop-timeout: not with -d; give it to `ringfort stop -t`');
  if (command === undefined && (interactive || tty))
    throw new UsageError('-i and -t: a container without a program has no streams');
}

/** The streams of a detached program, whose other ends its monitor has. */
function streams({ interactive, tty }: Draft, around: Surroundings) {
  if (tty) return { pty: around.window() ?? defaultWindow };
  return { stdio: [interactive ? 'pipe' : 'ignore', 'pipe', 'pipe'] } satisfies CreateOptions;
}

/**
 * The library's options of `run -d`.
 * @param command argv; without one the container lives for `exec`
 * @throws UsageError where options contradict each other
 */
export function toCreateOptions(
  draft: Draft,
  around: Surroundings,
  command?: string[],
): CreateOptions {
  checkDetached(draft, command);
  const run = toRunOptions(draft, { ...around, stdinIsTerminal: true });
  const { stdio: _stdio, pty: _pty, forceKillAfterDelay: _delay, killSignal, ...rest } = run;
  const { name, labels, logs } = draft;
  return {
    ...rest,
    init: rest.init ?? true,
    ...(killSignal !== undefined && {
      annotations: { ...rest.annotations, [stopSignalAnnotation]: String(killSignal) },
    }),
    ...(command !== undefined && { command, ...streams(draft, around) }),
    ...(name !== undefined && { id: name }),
    ...(Object.keys(logs).length > 0 && { logs }),
    labels: Object.fromEntries(labels),
    detached: true,
  };
}

/** Creates a container that stays, and prints its id. @returns the exit code */
export async function runDetached(options: CreateOptions): Promise<number> {
  endWithReader();
  const signals: Parameters<typeof forwardSignals>[0] = {};
  forwardSignals(signals);
  const { signal } = signals;
  try {
    const box = await createContainer({ ...options, ...(signal && { signal }) });
    await print(`${box.id}\n`);
    await box[Symbol.asyncDispose]();
    return 0;
  } catch (error) {
    if (signal?.aborted !== true || (error as Error).name !== 'AbortError') throw error;
    return codeOfSignal(signal.reason);
  }
}
