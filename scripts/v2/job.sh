cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.controllers; uptime
cd "$RINGFORT_ROOT"
time "$RINGFORT_NODE" --version
time "$RINGFORT_NODE" -e "import('$RINGFORT_ROOT/dist/lib/index.js').then(async ({run})=>console.log(await run('sh',['-c','cat /proc/self/cgroup; id'])))"
exit 3
