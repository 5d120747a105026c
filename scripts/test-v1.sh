#!/usr/bin/env bash
# Kernel suites where cgroup v1 is all there is: in a mount namespace without any v2 tree, as root on
# a host that has both. Arguments: Jest's. Default: those about containers.
set -uo pipefail
cd "$(dirname "$0")/.."

suites=(container files.test detached.test 'kernel/run.test' limits outOfReach observability)
[ $# -gt 0 ] || set -- "${suites[@]}"
without_v2='
  for dir in $(findmnt -rno TARGET -t cgroup2); do umount "$dir" || exit 1; done
  exec node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js "$@"'
exec unshare -m bash -c "$without_v2" bash "$@"
