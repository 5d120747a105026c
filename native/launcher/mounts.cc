// Steps on mounts. Everything is done by descriptor: a path is resolved once, inside the new root.
#include "launcher/context.h"

namespace ringfort {
namespace {

constexpr uint64_t kInRoot = kResolveInRoot | kResolveNoMagiclinks;

int MoveOnto(int mount, int target) {
  return static_cast<int>(
      Sys(nr::move_mount, mount, P(""), target, P(""), kMoveFromEmpty | kMoveToEmpty));
}

int CloneTree(int fd, uint32_t recursive) {
  return static_cast<int>(
      Sys(nr::open_tree, fd, P(""), kOpenTreeClone | kOpenTreeCloexec | kAtEmptyPath | recursive));
}

bool Missing(int error) { return error == -kEnoent || error == -kEnotdir; }

// fsconfig(2) of `key=value`, or of a flag without a value.
int Configure(int fs, const char* option, uint32_t size) {
  char key[256];
  uint32_t cut = 0;
  while (cut < size && option[cut] != '=') cut++;
  if (cut == 0 || cut >= sizeof key) return -kEinval;
  __builtin_memcpy(key, option, cut);
  key[cut] = 0;
  if (cut == size) return static_cast<int>(Sys(nr::fsconfig, fs, kFsconfigFlag, P(key), 0, 0));
  return static_cast<int>(Sys(nr::fsconfig, fs, kFsconfigString, P(key), P(option + cut + 1), 0));
}

int MakeFs(int fs, const Arg& options, uint32_t attributes) {
  StringList list(options);
  uint32_t size;
  while (const char* option = list.Next(&size))
    if (int error = Configure(fs, option, size)) return error;
  if (long error = Sys(nr::fsconfig, fs, kFsconfigCreate, 0, 0, 0)) return static_cast<int>(error);
  return static_cast<int>(Sys(nr::fsmount, fs, kFsmountCloexec, attributes));
}

}  // namespace

int EnterHostMounts(Context& c) {
  if (c.inHostMounts) return 0;
  // From there the child would be born outside the mount namespace that it was to join.
  if ((c.joined & kCloneNewns) != 0) return -kEinval;
  long error = Sys(__NR_setns, c.home->hostMounts, static_cast<long>(kCloneNewns));
  if (error == 0) c.inHostMounts = true;
  return static_cast<int>(error);
}

int Step_openTree(Context& c, const Arg* a) {
  uint64_t flags = a[3].number;
  // The kernel clones only mounts of the caller's own mount namespace.
  if (c.side == SIDE_P && (flags & kOpenTreeClone) != 0)
    if (int error = EnterHostMounts(c)) return error;
  // A host path comes resolved and checked: a link in it was put there since, by someone else.
  uint64_t resolve = a[1].number == kSlotHost ? kInRoot | kResolveNoSymlinks : kInRoot;
  // open_tree(2) has no RESOLVE_ flags: open first, then clone what was opened.
  int at = a[2].size == 0 ? SlotFd(c, a[1].number)
                          : OpenBelow(c, a[1].number, a[2].text, kOPath, resolve);
  if (at < 0) return at;
  flags |= kOpenTreeCloexec | kAtEmptyPath;
  long fd = Sys(nr::open_tree, at, P(""), static_cast<long>(flags));
  if (a[2].size != 0) Close(at);
  return Keep(c, a[0].number, fd);
}

int Step_mountSetattr(Context& c, const Arg* a) {
  MountAttr attr{a[2].number, a[3].number, a[4].number, 0};
  int userns = SlotFd(c, a[5].number);
  if (userns >= 0) attr.userns_fd = static_cast<uint64_t>(userns);
  return static_cast<int>(Sys(nr::mount_setattr, SlotFd(c, a[0].number), P(""),
                              static_cast<long>(a[1].number | kAtEmptyPath), P(&attr),
                              sizeof attr));
}

int Step_idmapMount(Context& c, const Arg* a) {
  constexpr uint64_t kMountAttrIdmap = 0x100000;
  char path[32];
  if (int error = ProcPath(c, "self/ns/user", path, sizeof path)) return error;
  int userns = OpenAt2(c.home->proc, path, kOReadOnly, 0);
  if (userns < 0) return userns;
  // Child and launcher hold the same mount, which is still attached nowhere.
  MountAttr attr{kMountAttrIdmap, 0, 0, static_cast<uint64_t>(userns)};
  long error = Sys(nr::mount_setattr, SlotFd(c, a[0].number), P(""),
                   kAtEmptyPath | (a[1].number != 0 ? kAtRecursive : 0), P(&attr), sizeof attr);
  Close(userns);
  return static_cast<int>(error);
}

int Step_fsMount(Context& c, const Arg* a) {
  long fs = Sys(nr::fsopen, P(a[1].text), kFsopenCloexec);
  if (fs < 0) return static_cast<int>(fs);
  int mount = MakeFs(static_cast<int>(fs), a[2], static_cast<uint32_t>(a[3].number));
  Close(static_cast<int>(fs));
  return Keep(c, a[0].number, mount);
}

int Step_attach(Context& c, const Arg* a) {
  int target = OpenBelow(c, a[1].number, a[2].text, kOPath, a[3].number);
  if (target < 0) return target;
  int error = MoveOnto(SlotFd(c, a[0].number), target);
  Close(target);
  return error;
}

int Step_mask(Context& c, const Arg* a) {
  constexpr long kStatxType = 1;
  int target = OpenBelow(c, a[0].number, a[1].text, kOPath, kInRoot);
  if (target < 0) return Missing(target) ? 0 : target;
  StatX st;
  long error = Sys(__NR_statx, target, P(""), kAtEmptyPath, kStatxType, P(&st));
  if (error == 0) {
    bool directory = (st.mode & kSIfmt) == kSIfdir;
    int cover = CloneTree(SlotFd(c, a[directory ? 3 : 2].number), 0);
    error = cover < 0 ? cover : MoveOnto(cover, target);
    if (cover >= 0) Close(cover);
  }
  Close(target);
  return static_cast<int>(error);
}

int Step_readonlyPath(Context& c, const Arg* a) {
  int target = OpenBelow(c, a[0].number, a[1].text, kOPath, kInRoot);
  if (target < 0) return Missing(target) ? 0 : target;
  int copy = CloneTree(target, kAtRecursive);
  int error = copy;
  if (copy >= 0) {
    MountAttr attr{kMountAttrReadonly, 0, 0, 0};
    error = static_cast<int>(
        Sys(nr::mount_setattr, copy, P(""), kAtEmptyPath | kAtRecursive, P(&attr), sizeof attr));
    if (error == 0) error = MoveOnto(copy, target);
    Close(copy);
  }
  Close(target);
  return error;
}

int PivotInto(int root) {
  // pivot_root(".", ".") stacks the old root over the new one, so no directory is needed for it
  // (pivot_root(2), NOTES); detaching "." then takes the old one away.
  if (long error = Sys(__NR_fchdir, root)) return static_cast<int>(error);
  if (long error = Sys(__NR_pivot_root, P("."), P("."))) return static_cast<int>(error);
  if (long error = Sys(__NR_umount2, P("."), kMntDetach)) return static_cast<int>(error);
  return static_cast<int>(Sys(__NR_chdir, P("/")));
}

int Step_pivotRoot(Context& c, const Arg* a) { return PivotInto(SlotFd(c, a[0].number)); }

}  // namespace ringfort
