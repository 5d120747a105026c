import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { command, type Requirement } from './requirements.js';

const sources = fileURLToPath(new URL('../../../test/probe', import.meta.url));

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

/** Compiles test/probe to this path. */
export function buildProbe(path: string): void {
  const files = readdirSync(sources).filter((name) => name.endsWith('.c'));
  const flags = ['-static', '-Wall', '-Werror', '-D_GNU_SOURCE', '-o', path];
  const paths = files.map((name) => join(sources, name));
  execFileSync('gcc', [...flags, ...paths], { stdio: 'pipe' });
}
