import type { CompletionOptions, RunResult } from '../index.js';
import { codeOfResult, codeOfSignal } from './exitCode.js';

/** A program that this process waits for: how it ended, and the exit code to end with. */
export interface Foreground {
  code: number;
  /** Absent where a signal to us ended it. */
  result?: RunResult;
}

/**
 * Waits for a program that signals to us are forwarded to (`forwardSignals`).
 * @throws what the start throws, but for the abort that such a signal is
 */
export async function foreground(
  program: Promise<RunResult>,
  { signal, pty, stdio }: Pick<CompletionOptions, 'signal' | 'pty' | 'stdio'>,
): Promise<Foreground> {
  try {
    const result = await program;
    return { result, code: codeOfResult(result) };
  } catch (error) {
    if (signal?.aborted !== true || (error as Error).name !== 'AbortError') throw error;
    const { result } = error as { result?: RunResult };
    return {
      code:
        result === undefined
          ? codeOfSignal(signal.reason)
          : codeOfResult({ ...result, failed: result.exitCode !== 0 }),
    };
  } finally {
    // What was typed last may have our terminal read on, which must not keep this process. Merely
    // to look at process.stdin opens it.
    if (pty !== undefined && Array.isArray(stdio) && stdio[0] === 'inherit') process.stdin.unref();
  }
}
