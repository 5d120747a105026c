import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compileLauncher, packageRoot } from '../helpers/compileLauncher.js';
import type { Bench } from './bench.js';
import type { Check } from './check.js';

/** A defence in the launcher's own source, and what stands there without it. */
export interface Mutation {
  /** In native/launcher. */
  file: string;
  /** Text that is there once. */
  from: string;
  to: string;
}

function apply(native: string, { file, from, to }: Mutation): void {
  const path = join(native, 'launcher', file);
  const parts = readFileSync(path, 'utf8').split(from);
  if (parts.length !== 2) throw new Error(`${file} has '${from}' ${parts.length - 1} times`);
  writeFileSync(path, parts.join(to));
}

/**
 * What comes of a check's attack where the launcher is one without some of its defences: the sources
 * are copied, changed and compiled, and another process (mutated.ts) launches with the result.
 */
export async function attemptMutated(
  { id }: Check,
  mutations: readonly Mutation[],
  bench: Bench,
): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'ringfort-mutated-'));
  try {
    const native = join(dir, 'native');
    cpSync(join(packageRoot, 'native'), native, { recursive: true });
    for (const mutation of mutations) apply(native, mutation);
    const launcher = join(dir, 'launcher');
    compileLauncher(launcher, { native });
    const main = fileURLToPath(new URL('mutated.js', import.meta.url));
    const env = { ...process.env, RINGFORT_ESCAPE_BASE: JSON.stringify(bench.base) };
    const { stdout } = await promisify(execFile)(process.execPath, [main, id, launcher], {
      env,
      timeout: 300_000,
    });
    return stdout.trim();
  } finally {
    rmSync(dir, { recursive: true });
  }
}
