// Mounts: the classic calls and the mount API of Linux 5.2.
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon/sys.h"
#include "syscall_numbers.h"

namespace ringfort {
namespace {

constexpr unsigned kFsconfigSetBinary = 2;

int64_t Mount(const OptionalText& source, const Text& target, const OptionalText& type,
              uint32_t flags, const OptionalText& data) {
  return Result(mount(source.get(), target.get(), type.get(), flags, data.get()));
}

int64_t Umount2(const Text& target, int32_t flags) { return Result(umount2(target.get(), flags)); }

int64_t PivotRoot(const Text& new_root, const Text& put_old) {
  return Result(syscall(SYS_pivot_root, new_root.get(), put_old.get()));
}

int64_t Fsopen(const Text& type, uint32_t flags) {
  return Result(syscall(nr::fsopen, type.get(), flags));
}

int64_t Fsconfig(int32_t fd, uint32_t command, const OptionalText& key, const OptionalText& value,
                 int32_t aux) {
  // with this command the kernel reads aux bytes, however long the value is
  if (command == kFsconfigSetBinary) return -EINVAL;
  return Result(syscall(nr::fsconfig, fd, command, key.get(), value.get(), aux));
}

int64_t FsconfigBinary(int32_t fd, const Text& key, Bytes value) {
  if (value.size > static_cast<size_t>(std::numeric_limits<int>::max())) return -EINVAL;
  return Result(syscall(nr::fsconfig, fd, kFsconfigSetBinary, key.get(), value.data,
                        static_cast<int>(value.size)));
}

int64_t Fsmount(int32_t fd, uint32_t flags, uint32_t attributes) {
  return Result(syscall(nr::fsmount, fd, flags, attributes));
}

int64_t MoveMount(int32_t from_dirfd, const Text& from_path, int32_t to_dirfd, const Text& to_path,
                  uint32_t flags) {
  return Result(
      syscall(nr::move_mount, from_dirfd, from_path.get(), to_dirfd, to_path.get(), flags));
}

int64_t OpenTree(int32_t dirfd, const Text& path, uint32_t flags) {
  return Result(syscall(nr::open_tree, dirfd, path.get(), flags));
}

// struct mount_attr: attr_set, attr_clr, propagation, userns_fd
int64_t MountSetattr(int32_t dirfd, const Text& path, uint32_t flags, Words<uint64_t, 4> attr) {
  return Result(
      syscall(nr::mount_setattr, dirfd, path.get(), flags, attr.data, 4 * sizeof(uint64_t)));
}

}  // namespace

void AddMountCalls(Napi::Object sys) {
  Add<Mount>(sys, "mount");
  Add<Umount2>(sys, "umount2");
  Add<PivotRoot>(sys, "pivotRoot");
  Add<Fsopen, Opening>(sys, "fsopen");
  Add<Fsconfig>(sys, "fsconfig");
  Add<FsconfigBinary>(sys, "fsconfigBinary");
  Add<Fsmount, Opening>(sys, "fsmount");
  Add<MoveMount>(sys, "moveMount");
  Add<OpenTree, Opening>(sys, "openTree");
  Add<MountSetattr>(sys, "mountSetattr");
}

}  // namespace ringfort
