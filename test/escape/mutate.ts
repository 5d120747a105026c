import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compileChanged, packageRoot } from '../helpers/compileLauncher.js';
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

const source = (file: string) => readFileSync(join(packageRoot, 'native/launcher', file), 'utf8');

/** The sources without those defences, by name. */
function mutated(mutations: readonly Mutation[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { file, from, to } of mutations) {
    const parts = (texts.get(file) ?? source(file)).split(from);
    if (parts.length !== 2) throw new Error(`${file} has '${from}' ${parts.length - 1} times`);
    texts.set(file, parts.join(to));
  }
  return texts;
}

/**
 * What comes of a check's attack where the launcher is one without some of its defences: it is compiled
 * from sources without them, and another process (mutated.ts) launches with the result.
 */
export async function attemptMutated(
  { id }: Check,
  mutations: readonly Mutation[],
  bench: Bench,
): Promise<string> {
  const launcher = join(bench.directory(), 'launcher');
  compileChanged(launcher, bench.objects, mutated(mutations));
  const main = fileURLToPath(new URL('mutated.js', import.meta.url));
  const env = { ...process.env, RINGFORT_ESCAPE_BASE: JSON.stringify(bench.base) };
  const { stdout } = await promisify(execFile)(process.execPath, [main, id, launcher], {
    env,
    timeout: 300_000,
  });
  return stdout.trim();
}
