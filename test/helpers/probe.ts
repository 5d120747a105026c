import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Requirement } from './needs.js';
import { command } from './needs.js';

const sources = fileURLToPath(new URL('../../../test/probe/', import.meta.url));

/** What it takes to build the probe: gcc and a static libc. */
export const staticCompiler: Requirement = {
  name: 'static C compiler',
  check() {
    const missing = command('gcc').check();
    if (missing !== undefined) return `gcc ${missing}`;
    const found = execFileSync('gcc', ['-print-file-name=libc.a'], { encoding: 'utf8' }).trim();
    return found.includes('/') ? undefined : 'no libc.a (package libc6-dev)';
  },
};

/** Compiles a program of test/probe to this path. */
export function buildProbe(path: string, name = 'probe'): void {
  const source = join(sources, `${name}.c`);
  execFileSync('gcc', ['-static', '-Wall', '-Werror', '-O1', '-o', path, source], {
    stdio: 'pipe',
  });
}
