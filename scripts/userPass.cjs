// Commands of this package as an ordinary user, in cgroups that were delegated to it: what the test
// suite and the escape corpus do after their pass as root.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');

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

/**
 * @param makeCommand from where the package is for the user and a directory of its own: an argv
 * @param after what is to be kept of that directory
 * @param start what starts it, as spawnSync, and waits for its end
 * @param stdio as spawnSync has it
 * @returns what `start` returns
 */
async function asOrdinaryUser(makeCommand, { after, start = spawnSync, ...options } = {}) {
  const user = ordinaryUser();
  const temporary = fs.mkdtempSync('/var/tmp/ringfort-test-');
  fs.chmodSync(temporary, 0o755);
  const home = join(temporary, 'home');
  fs.mkdirSync(home);
  fs.chownSync(home, user.uid, user.gid);
  const dirs = await delegate(user.uid);
  try {
    const at = readableRoot(user, temporary);
    const enter = 'for dir in $RINGFORT_DIRS; do echo $$ > "$dir/cgroup.procs"; done; exec "$@"';
    const command = ['sh', '-c', enter, 'sh', ...asUser(user, makeCommand(at, home))];
    const result = await start(command[0], command.slice(1), {
      cwd: at,
      stdio: 'inherit',
      ...options,
      env: {
        ...process.env,
        RINGFORT_DIRS: dirs.join(' '),
        RINGFORT_TEST_PASS: 'user',
        HOME: home,
        XDG_RUNTIME_DIR: home,
        TMPDIR: home,
      },
    });
    after?.(home);
    return result;
  } finally {
    fs.rmSync(temporary, { recursive: true });
    for (const dir of dirs) remove(dir);
  }
}

module.exports = { asOrdinaryUser, delegate, ordinaryUser, remove, root, run };
