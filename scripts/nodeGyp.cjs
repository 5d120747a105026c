// Runs node-gyp with the headers that lie beside the running node, so that a build needs no
// network; node-gyp fetches them only where there are none.
const { spawnSync } = require('node:child_process');
const { existsSync, realpathSync } = require('node:fs');
const { dirname, join } = require('node:path');

/** The prefix under which include/node belongs to the running node, undefined where it is bare. */
function headerPrefix() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const complete = ['node_api.h', 'uv.h', 'common.gypi'].every((file) =>
    existsSync(join(prefix, 'include', 'node', file)),
  );
  return complete ? prefix : undefined;
}

/** This process's environment, with `nodedir` set unless the user has set it to something else. */
function buildEnv() {
  const prefix = headerPrefix();
  const given = process.env.npm_config_nodedir;
  return given || prefix === undefined
    ? process.env
    : { ...process.env, npm_config_nodedir: prefix };
}

/** Path of node-gyp: our own, else the one that npm ships and names to its scripts. */
function findNodeGyp() {
  try {
    return require.resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return process.env.npm_config_node_gyp;
  }
}

/** Configures (new source files are found) and builds what is stale; returns the exit code. */
function build() {
  const args = ['configure', 'build', '--jobs', 'max', '--loglevel', 'warn'];
  const nodeGyp = findNodeGyp();
  const [file, first] = nodeGyp === undefined ? ['node-gyp', []] : [process.execPath, [nodeGyp]];
  const { status, error } = spawnSync(file, [...first, ...args], {
    cwd: dirname(__dirname),
    env: buildEnv(),
    stdio: 'inherit',
  });
  if (status === 0) return 0;
  console.error(
    `ringfort: the native build failed${error ? ` (${error.message})` : ''}: ` +
      'it needs a C++17 compiler, make and Python 3',
  );
  return status ?? 1;
}

module.exports = { build, buildEnv, findNodeGyp };

if (require.main === module) process.exitCode = build();
