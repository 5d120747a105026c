import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { invalid } from '../errors.js';
import type { SpawnOptions, StdioChoice } from '../options.js';
import { isObject } from '../spec/rules/rule.js';
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
export type PlainSpawnOptions = Omit<SpawnOptions, 'stdio' | 'windowsHide' | 'cwd' | 'env'> & {
  cwd?: string | undefined;
  env?: Record<string, string | undefined> | undefined;
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

/** Numbers as text; what is no variable is left for the check to refuse. */
function variables(env: NonNullable<SpawnOptions['env']>): Record<string, string | undefined> {
  if (!isObject(env)) return env;
  const text = (value: unknown) => (typeof value === 'number' ? String(value) : value);
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, text(value)]),
  ) as Record<string, string | undefined>;
}

/** @throws InvalidSpecError for a URL that names no file */
function directory(cwd: SpawnOptions['cwd']): string | undefined {
  if (cwd === null || typeof cwd !== 'object') return cwd ?? undefined;
  try {
    return fileURLToPath(cwd);
  } catch {
    throw invalid('cwd', 'a path or a file: URL', String(cwd));
  }
}

/**
 * What child_process's `spawn` may be called with, in one shape: arguments may be left out or null,
 * streams may be missing, and what only matters on Windows says nothing here.
 */
export function spawnCall(
  args: readonly string[] | null | undefined | SpawnOptions,
  options: SpawnOptions | undefined,
): SpawnCall {
  // What is neither is for the check of arguments to refuse.
  const given = options !== undefined || !isObject(args);
  const list = given ? ((args ?? []) as readonly string[]) : [];
  const said = ((given ? options : args) ?? {}) as SpawnOptions;
  const { stdio, windowsHide: _, cwd, env, ...rest } = said;
  const plain = streams(stdio ?? undefined);
  const where = directory(cwd);
  return {
    args: list,
    options: {
      ...rest,
      ...(where !== undefined && { cwd: where }),
      ...(env !== undefined && { env: variables(env) }),
      ...(plain !== undefined && { stdio: plain }),
    },
  };
}
