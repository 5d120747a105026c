import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { SpawnOptions, StdioChoice } from '../options.js';
import type { ContainerProcess } from './process.js';

/** Options that leave all three streams what they are by default: pipes. */
export type PipedOptions = Omit<SpawnOptions, 'stdio' | 'pty'> & {
  stdio?: 'pipe' | ['pipe', 'pipe', 'pipe'] | undefined;
  pty?: undefined;
};

/** A program whose three streams are all piped: child_process's ChildProcessWithoutNullStreams. */
export type PipedProcess = ContainerProcess &
  Pick<ChildProcessWithoutNullStreams, 'stdin' | 'stdout' | 'stderr' | 'stdio'>;

/** The options of a spawn with its streams spelt out. */
export type PlainSpawnOptions = Omit<SpawnOptions, 'stdio' | 'windowsHide'> & {
  stdio?: StdioChoice | [StdioChoice, StdioChoice, StdioChoice] | undefined;
};

/** A call of `spawn` in one shape. */
export interface SpawnCall {
  args: readonly string[];
  options: PlainSpawnOptions;
}

/** child_process's word for a stream that nobody has said anything about. */
function choice(value: StdioChoice | null | undefined): StdioChoice {
  return value ?? 'pipe';
}

/** Fewer than three streams, or holes among them, are pipes; more are left for the check to refuse. */
function streams(stdio: SpawnOptions['stdio']): PlainSpawnOptions['stdio'] {
  if (!Array.isArray(stdio)) return stdio as StdioChoice | undefined;
  const filled = Array.from({ length: Math.max(3, stdio.length) }, (_, i) => choice(stdio[i]));
  return filled as [StdioChoice, StdioChoice, StdioChoice];
}

/**
 * What child_process's `spawn` may be called with, in one shape: arguments may be left out or null,
 * streams may be missing, and what only matters on Windows says nothing here.
 */
export function spawnCall(
  args: readonly string[] | null | undefined | SpawnOptions,
  options: SpawnOptions | undefined,
): SpawnCall {
  const given = Array.isArray(args) || args === undefined || args === null;
  const list = given ? ((args ?? []) as readonly string[]) : [];
  const { stdio, windowsHide: _, ...rest } = (given ? options : (args as SpawnOptions)) ?? {};
  const plain = streams(stdio ?? undefined);
  return { args: list, options: { ...rest, ...(plain !== undefined && { stdio: plain }) } };
}
