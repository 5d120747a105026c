// The test suite: once as whoever calls it and, for root, the kernel-facing suites again as an
// ordinary user in cgroups that were delegated to it. RINGFORT_JEST_ARGS is passed on to jest;
// RINGFORT_TEST_PASSES=user leaves the first pass out, =self the second; RINGFORT_USER_SUITES is a
// pattern for the files of the second.
const fs = require('node:fs');
const { join } = require('node:path');
const { asOrdinaryUser, ordinaryUser, root, run } = require('./userPass.cjs');

/** Which files the ordinary user runs, as a pattern. */
const suites = process.env.RINGFORT_USER_SUITES ?? 'test/kernel';
const jestArgs = (process.env.RINGFORT_JEST_ARGS ?? '').split(' ').filter(Boolean);

function jestCommand(at, args) {
  return [
    process.execPath,
    '--experimental-vm-modules',
    '--no-warnings',
    join(at, 'node_modules/jest/bin/jest.js'),
    ...args,
  ];
}

/** The suites of dist/test/kernel as an ordinary user. */
async function userPass() {
  // The user may not be able to write where the results are to be.
  const wanted = jestArgs.find((arg) => arg.startsWith('--outputFile='))?.slice(13);
  console.log(`\nagain as user ${ordinaryUser().uid}, with cgroups of its own:`);
  const { status } = await asOrdinaryUser(
    (at, home) => {
      const args = jestArgs.map((arg) =>
        arg.startsWith('--outputFile=') ? `--outputFile=${join(home, 'results.json')}` : arg,
      );
      return jestCommand(at, ['--rootDir', join(at, 'dist'), ...args, suites]);
    },
    {
      after(home) {
        if (wanted === undefined) return;
        fs.copyFileSync(join(home, 'results.json'), wanted.replace(/\.json$/, '.user.json'));
      },
    },
  );
  return status ?? 1;
}

async function main() {
  const passes = (process.env.RINGFORT_TEST_PASSES ?? 'self user').split(' ');
  const again = passes.includes('user') && process.getuid() === 0 && process.platform === 'linux';
  const env = { ...process.env, ...(again && { RINGFORT_TEST_PASS: 'root' }) };
  const first = passes.includes('self') ? run(jestCommand(root, jestArgs), { env }) : 0;
  const second = again ? await userPass() : 0;
  return first || second;
}

main().then((status) => {
  process.exitCode ||= status;
});
