// Makes prebuilds/linux-<arch>/: the stripped addon, tagged with its C library, and beside it the
// launcher program, for hosts on which a memfd may not execute.
const { spawnSync } = require('node:child_process');
const { copyFileSync } = require('node:fs');
const { join } = require('node:path');
const { buildEnv, findNodeGyp } = require('./nodeGyp.cjs');

const root = join(__dirname, '..');
const { status } = spawnSync(
  process.execPath,
  [
    join(require.resolve('prebuildify/package.json'), '..', 'bin.js'),
    ...['--napi', '--strip', '--tag-libc', '--target', process.version],
    ...['--node-gyp', findNodeGyp()],
  ],
  { cwd: root, env: { ...buildEnv(), JOBS: 'max' }, stdio: 'inherit' },
);
if (status !== 0) process.exit(status ?? 1);
copyFileSync(
  join(root, 'build', 'Release', 'launcher'),
  join(root, 'prebuilds', `linux-${process.arch}`, 'launcher'),
);
