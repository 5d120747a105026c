#!/bin/busybox sh
# First process of the guest: puts a writable root together out of the host's files, runs job.sh in
# it and sends its exit status. Dies, and the kernel with it, when anything of that fails.
set -e
/bin/busybox --install -s /bin
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do insmod "$module"; done

mount -t virtiofs -o ro share /lower
mount -t tmpfs -o mode=755 tmpfs /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /new
cd /new
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 sys/fs/cgroup
mount -t devtmpfs -o nosuid devtmpfs dev
mkdir -p dev/pts dev/shm
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts dev/pts
for dir in dev/shm run tmp var/tmp; do mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$dir"; done
mkdir run/v2
cp /job /environment run/v2
ifconfig lo up
hostname v2
# A proc that stays mounted below the new root lets every user namespace have another whole one,
# whatever is masked in the first (mount_too_revealing).
umount /proc /sys
umount -l /dev
# Not before the root is put together: whatever failed until then is on the console.
exec switch_root /new /bin/sh -c '
  . /run/v2/environment
  set -- /dev/vport*
  # A port has one opener at a time, so everything goes through one cat.
  { sh /run/v2/job; echo $? >/run/v2/status; } </dev/null 2>&1 | cat >"$1"
  cat /run/v2/status >"$2"
  sync
  echo o >/proc/sysrq-trigger
  sleep 60'
