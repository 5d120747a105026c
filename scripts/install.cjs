// The install script: builds the addon unless the package carries a prebuild that loads here.
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { build } = require('./nodeGyp.cjs');

const root = join(__dirname, '..');
const platform = `${process.platform}-${process.arch}`;

async function prebuildLoads() {
  // A tree that has been built from source goes on being built from source.
  if (existsSync(join(root, 'build')) || !existsSync(join(root, 'prebuilds', platform))) {
    return false;
  }
  try {
    const loader = pathToFileURL(join(root, 'dist', 'lib', 'native', 'load.js'));
    (await import(loader.href)).loadBinding();
    return true;
  } catch (error) {
    console.error(`ringfort: no prebuild fits, building from source: ${error.message}`);
    return false;
  }
}

async function main() {
  if (!['linux-x64', 'linux-arm64'].includes(platform)) {
    console.log(`ringfort: nothing to build on ${platform}: containers need Linux on x64 or arm64`);
  } else if (!(await prebuildLoads())) {
    process.exitCode = build();
  }
}

main();
