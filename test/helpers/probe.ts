import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Requirement } from './needs.js';
import { command } from './needs.js';

const source = fileURLToPath(new URL('../../../test/probe/probe.c', import.meta.url));

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

/** Compiles test/probe/probe.c to this path. */
export function buildProbe(path: string): void {
  execFileSync('gcc', ['-static', '-Wall', '-Werror', '-o', path, source], { stdio: 'pipe' });
}
