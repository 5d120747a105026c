# Runs in the guest as root: the suites as root in the root cgroup, and as an ordinary user in a
# delegated one. Exits with 0 only if both pass.
. /run/v2/environment
cd "$RINGFORT_ROOT" || exit 1
status=0

# Temporary files go to a real disk: of the file systems here only ext4 has idmapped mounts.
mkfs.ext4 -q /dev/vda && mkdir /disk && mount /dev/vda /disk || exit 1
user=ringfort-v2
useradd --no-create-home --home-dir /disk/user --add-subids-for-system "$user" || exit 1

# virtiofsd holds every file open that the guest knows of, up to its own limit.
while sleep 1; do
  known=$(awk '$1 == "fuse_inode" { print $2 }' /proc/slabinfo)
  [ "$known" -lt 8000 ] || echo 2 >/proc/sys/vm/drop_caches
done &

# The kernel patches its own code when the first cpuset is made and when the last one goes, and QEMU,
# emulating on several threads, now and then runs the breakpoint of such a patch for ever (a soft lockup
# in asm_exc_int3). So there is always one.
echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control && mkdir /sys/fs/cgroup/kept || exit 1

# Suites skip what cannot be had; here limits must be, and by cgroup v2 alone.
limits='
  import { currentCgroups } from "./dist/lib/cgroups/index.js";
  import { run } from "./dist/lib/index.js";
  const limits = { memory: "64MiB", pids: 16, cpus: 0.5 };
  const { isolation } = await run("true", [], { limits, reject: true });
  console.log(currentCgroups().mode, isolation.enforced.filter((wall) => wall.startsWith("limit:")));
  process.exitCode = currentCgroups().mode === "v2" ? 0 : 1;'

# suites DIRECTORY [COMMAND...]: the kernel-facing suites, with that directory for temporary files
# and as arguments of that command.
suites() {
  mkdir -p "$1"
  export TMPDIR=$1 HOME=$1 XDG_RUNTIME_DIR=$1
  shift
  "$@" "$RINGFORT_NODE" --input-type=module --eval "$limits" || return
  # Left out of the whole: what needs npm, many processes of Node or thousands of launches, and
  # programs that are judged by their time.
  others='package|cli|leaks|cycles|killed|killedExec|killedDetached|examples|httpRunner|otel|load'
  ignored="--testPathIgnorePatterns kernel/($others)\.test"
  case $RINGFORT_JEST_ARGS in *test/*) ignored= ;; esac
  # shellcheck disable=SC2086
  time "$@" "$RINGFORT_NODE" --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js \
    --roots "$RINGFORT_ROOT/dist/test/kernel" \
    $ignored --testTimeout=600000 --cacheDirectory="$TMPDIR/jest" $RINGFORT_JEST_ARGS
}

case $RINGFORT_TEST_PASSES in *self*)
  echo 'as root, in the root cgroup:'
  (suites /disk/root) || status=1
esac

case $RINGFORT_TEST_PASSES in *user*)
  # A subtree of its own; it sits in the leaf that moveToLeafCgroup() would make.
  cgroup=/sys/fs/cgroup/user
  controllers='+cpu +cpuset +io +memory +pids'
  echo "$controllers" >/sys/fs/cgroup/cgroup.subtree_control || exit 1
  mkdir -p "$cgroup/ringfort-self" /disk/user || exit 1
  echo "$controllers" >"$cgroup/cgroup.subtree_control" || exit 1
  for dir in "$cgroup" "$cgroup/ringfort-self"; do
    chown "$user:" "$dir" "$dir/cgroup.procs" "$dir/cgroup.subtree_control" "$dir/cgroup.threads"
  done
  chown "$user:" /disk/user
  echo "as $user, in a delegated cgroup:"
  (
    echo 0 >"$cgroup/ringfort-self/cgroup.procs" || exit 1
    export RINGFORT_TEST_PASS=user
    suites /disk/user setpriv --reuid="$user" --regid="$user" --init-groups --
  ) || status=1
esac
kill $!
exit $status
