// Compiles lib, test, examples and bench to dist/. Incremental, and without leftovers: a test whose
// source has gone must not go on running.
const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync, rmSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const dist = join(root, 'dist');

function removeStale() {
  if (!existsSync(dist)) return;
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const source = file.replace(/(\.d\.ts|\.js|\.js\.map)$/, '.ts').replace(dist, root);
    if (entry.isFile() && source.endsWith('.ts') && !existsSync(source)) rmSync(file);
  }
}

removeStale();
const tsc = join(require.resolve('typescript/package.json'), '..', 'bin', 'tsc');
const { status } = spawnSync(process.execPath, [tsc, '-p', root], { stdio: 'inherit' });
process.exitCode = status ?? 1;
