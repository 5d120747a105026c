// The test suite: once as whoever calls it and, for root, the kernel-facing suites again as an
// ordinary user in cgroups that were delegated to it. RINGFORT_JEST_ARGS is passed on to jest;
// RINGFORT_TEST_PASSES=user leaves the first pass out, =self the second; RINGFORT_USER_SUITES is a
// pattern for the files of the second.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
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

function run([file, ...args], options = {}) {
  return spawnSync(file, args, { cwd: root, stdio: 'inherit', ...options }).status ?? 1;
}

/** The account with subordinate ids, else nobody. */
function ordinaryUser() {
  const name = (fs.existsSync('/etc/subuid') ? fs.readFileSync('/etc/subuid', 'utf8') : '')
    .split('\n')
    .map((line) => line.split(':')[0])
    .find((each) => each !== '' && each !== 'root');
  const entry = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([account, , uid]) => name !== undefined && (account === name || uid === name));
  return entry === undefined
    ? { uid: 65534, gid: 65534 }
    : { uid: Number(entry[2]), gid: Number(entry[3]) };
}

function asUser({ uid, gid }, command) {
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  return ['setpriv', ...ids, ...command];
}

/** Where the user can read the package: here, or a copy. */
function readableRoot(user, temporary) {
  const probe = asUser(user, ['test', '-r', join(root, 'node_modules/jest/package.json')]);
  if (run(probe, { stdio: 'ignore' }) === 0) return root;
  const copy = join(temporary, 'package');
  fs.mkdirSync(copy);
  for (const name of fs.readdirSync(root).filter((each) => !/^(\.git|build-|prebuilds)/.test(each)))
    fs.cpSync(join(root, name), join(copy, name), { recursive: true, verbatimSymlinks: true });
  return copy;
}

/** A cgroup for the user in every hierarchy that limits need; what could not be made is left out. */
async function delegate(uid) {
  const { currentCgroups, directoryOf } = await import(join(root, 'dist/lib/cgroups/index.js'));
  const { unified, v1 } = currentCgroups();
  const hierarchies = new Set([...(unified ? [unified] : []), ...v1.values()]);
  const made = [];
  for (const hierarchy of hierarchies) {
    const own = directoryOf(hierarchy, hierarchy.own);
    const dir = own === undefined ? undefined : join(own, `ringfort-user-${process.pid}`);
    try {
      fs.mkdirSync(dir);
    } catch {
      continue;
    }
    made.push(dir);
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (fs.existsSync(join(dir, file)) && hierarchy.version === 1)
        fs.writeFileSync(join(dir, file), fs.readFileSync(join(own, file)));
    for (const file of ['', 'cgroup.procs', 'tasks', 'cgroup.subtree_control', 'cgroup.threads'])
      if (fs.existsSync(join(dir, file))) fs.chownSync(join(dir, file), uid, -1);
  }
  return made;
}

/** Removes a cgroup; one that a test left something in is named and stays. */
function remove(dir) {
  try {
    fs.rmdirSync(dir);
  } catch (error) {
    console.error(`left behind: ${error.message}`);
    process.exitCode = 1;
  }
}

/** The suites of dist/test/kernel as an ordinary user. */
async function userPass() {
  const user = ordinaryUser();
  const temporary = fs.mkdtempSync('/var/tmp/ringfort-test-');
  fs.chmodSync(temporary, 0o755);
  const home = join(temporary, 'home');
  fs.mkdirSync(home);
  fs.chownSync(home, user.uid, user.gid);
  const dirs = await delegate(user.uid);
  try {
    const at = readableRoot(user, temporary);
    // The user may not be able to write where the results are to be.
    const wanted = jestArgs.find((arg) => arg.startsWith('--outputFile='))?.slice(13);
    const output = join(home, 'results.json');
    const args = jestArgs.map((arg) =>
      arg.startsWith('--outputFile=') ? `--outputFile=${output}` : arg,
    );
    const jest = jestCommand(at, ['--rootDir', join(at, 'dist'), ...args, suites]);
    const enter = 'for dir in $RINGFORT_DIRS; do echo $$ > "$dir/cgroup.procs"; done; exec "$@"';
    console.log(`\nagain as user ${user.uid}, with cgroups of its own:`);
    const status = run(['sh', '-c', enter, 'sh', ...asUser(user, jest)], {
      cwd: at,
      env: {
        ...process.env,
        RINGFORT_DIRS: dirs.join(' '),
        RINGFORT_TEST_PASS: 'user',
        HOME: home,
        XDG_RUNTIME_DIR: home,
        TMPDIR: home,
      },
    });
    if (wanted !== undefined) fs.copyFileSync(output, wanted.replace(/\.json$/, '.user.json'));
    return status;
  } finally {
    fs.rmSync(temporary, { recursive: true });
    for (const dir of dirs) remove(dir);
  }
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
