#include "launcher/home.h"

namespace ringfort {
namespace {

constexpr uint64_t kNosuid = 2, kNodev = 4, kNoexec = 8;

int Open(const char* path, uint64_t flags) { return OpenAt2(kAtFdCwd, path, flags, 0); }

int UnshareMounts() { return static_cast<int>(Sys(__NR_unshare, static_cast<long>(kCloneNewns))); }

int MountTmpfs() {
  long fs = Sys(nr::fsopen, P("tmpfs"), kFsopenCloexec);
  if (fs < 0) return static_cast<int>(fs);
  long error = Sys(nr::fsconfig, fs, kFsconfigString, P("mode"), P("0755"), 0);
  if (error == 0) error = Sys(nr::fsconfig, fs, kFsconfigString, P("size"), P("64k"), 0);
  if (error == 0) error = Sys(nr::fsconfig, fs, kFsconfigCreate, 0, 0, 0);
  constexpr long kAttributes = kNosuid | kNodev | kNoexec;
  long mount = error != 0 ? error : Sys(nr::fsmount, fs, kFsmountCloexec, kAttributes);
  Close(static_cast<int>(fs));
  return static_cast<int>(mount);
}

// Brings proc or sys along: the kernel lets a user namespace mount a new proc only beside one that
// is fully visible (mount_too_revealing). Recursive, because an ordinary user may not uncover what
// is mounted below.
int BringAlong(int root, const char* name, const char* path) {
  if (long error = Sys(__NR_mkdirat, root, P(name), 0555)) return static_cast<int>(error);
  long tree = Sys(nr::open_tree, kAtFdCwd, P(path),
                  static_cast<long>(kOpenTreeClone | kOpenTreeCloexec | kAtRecursive));
  if (tree == -kEnoent) return 0;
  if (tree < 0) return static_cast<int>(tree);
  long error = Sys(nr::move_mount, tree, P(""), root, P(name), kMoveFromEmpty);
  Close(static_cast<int>(tree));
  return static_cast<int>(error);
}

}  // namespace

int CleanSelf(int last) {
  // Node ignores SIGPIPE and blocks nothing; guests must start with the defaults.
  for (long number = 1; number <= 64; number++) Handle(number, kDefault);
  // Node's RLIMIT_FSIZE must be an error of whatever we write (journal, logs, a memfd), and not our
  // end; RunChild takes this back.
  Handle(kSigxfsz, kIgnore);
  uint64_t none = 0;
  if (long error = Sys(__NR_rt_sigprocmask, kSigSetmask, P(&none), 0, kSigsetSize))
    return static_cast<int>(error);
  Sys(__NR_setsid);
  Sys(__NR_umask, 0022);
  Sys(__NR_prctl, kPrSetName, P("ringfort"));
  if (long error = Sys(nr::close_range, last + 1, ~0u, 0)) return static_cast<int>(error);
  Sys(nr::close_range, 0, 2, 0);
  long null = Sys(__NR_openat, kAtFdCwd, P("/dev/null"), kOReadWrite, 0);
  if (null != 0) return null < 0 ? static_cast<int>(null) : -kEio;
  for (long fd = 1; fd <= 2; fd++)
    if (long error = Sys(__NR_dup3, 0, fd, 0); error < 0) return static_cast<int>(error);
  RlimitPair files;
  constexpr long kNofile = 7;
  if (Sys(__NR_prlimit64, 0, kNofile, 0, P(&files)) == 0) {
    files.soft = files.hard;
    Sys(__NR_prlimit64, 0, kNofile, P(&files), 0);
  }
  return 0;
}

int UnshareUser(Home* home) {
  long error = Sys(__NR_unshare, static_cast<long>(kCloneNewuser));
  if (error == 0) home->ownUser = true;
  return static_cast<int>(error);
}

int MakeHome(Home* home) {
  if (home->ownUser) {
    if (long error = Sys(__NR_setresgid, 0, 0, 0)) return static_cast<int>(error);
    if (long error = Sys(__NR_setresuid, 0, 0, 0)) return static_cast<int>(error);
  }
  home->hostMounts = Open("/proc/self/ns/mnt", kOReadOnly);
  if (home->hostMounts < 0) return home->hostMounts;
  // Where a user namespace does not own the host's mounts, it may clone only from a copy of them.
  if (Sys(__NR_setns, home->hostMounts, static_cast<long>(kCloneNewns)) != 0) {
    if (int error = UnshareMounts()) return error;
    Close(home->hostMounts);
    home->hostMounts = Open("/proc/self/ns/mnt", kOReadOnly);
    if (home->hostMounts < 0) return home->hostMounts;
  }
  home->host = Open("/", kOPath | kODirectory);
  if (home->host < 0) return home->host;
  if (int error = UnshareMounts()) return error;
  MountAttr attr{0, 0, kMsPrivate, 0};
  if (long error = Sys(nr::mount_setattr, kAtFdCwd, P("/"), kAtRecursive, P(&attr), sizeof attr))
    return static_cast<int>(error);
  int root = MountTmpfs();
  if (root < 0) return root;
  // Attached before anything is mounted in it: until 6.15 the kernel mounts nothing below a mount
  // that is not part of a namespace. Our own root stays what it is until the pivot.
  if (long error = Sys(nr::move_mount, root, P(""), kAtFdCwd, P("/"), kMoveFromEmpty))
    return static_cast<int>(error);
  // `root` is where a child attaches its new root, `empty` a place for what it needs only by
  // descriptor: the kernel clones no mount that is attached nowhere.
  const char* const names[] = {"root", "empty"};
  for (const char* name : names)
    if (long error = Sys(__NR_mkdirat, root, P(name), 0755)) return static_cast<int>(error);
  if (int error = BringAlong(root, "proc", "/proc")) return error;
  if (int error = BringAlong(root, "sys", "/sys")) return error;
  attr = {kMountAttrReadonly, 0, 0, 0};
  if (long error = Sys(nr::mount_setattr, root, P(""), kAtEmptyPath, P(&attr), sizeof attr))
    return static_cast<int>(error);
  if (int error = PivotInto(root)) return error;
  Close(root);
  home->proc = Open("/proc", kOPath | kODirectory);
  if (home->proc < 0) return home->proc;
  home->homeMounts = OpenAt2(home->proc, "self/ns/mnt", kOReadOnly, 0);
  if (home->homeMounts < 0) return home->homeMounts;
  if (int error = OpenOwnNamespaces(home)) return error;
  // Without it nothing that is started could be ended again.
  if (Sys(nr::pidfd_send_signal, -1, 0) == -kEnosys) return -kEnosys;
  return static_cast<int>(Sys(__NR_prctl, kPrSetDumpable, 0, 0, 0, 0));
}

}  // namespace ringfort
