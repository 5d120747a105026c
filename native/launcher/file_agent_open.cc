// Requests of the file agent that open and look.
#include "launcher/file_agent.h"

namespace ringfort {
namespace {

constexpr uint32_t kOAccess = 3, kONoctty = 0400, kOTrunc = 01000, kOAppend = 02000,
                   kODsync = 010000, kOSync = 04010000;
constexpr uint32_t kAllowed =
    kOAccess | kOCreat | kOExcl | kOTrunc | kOAppend | kODsync | kOSync | kODirectory | kONofollow;
// Nothing may make the agent wait: not a fifo, not a lease that a guest holds (fcntl(2)).
constexpr uint32_t kNeverWait = kONonblock | kONoctty | kOCloexec;
constexpr uint32_t kSIfreg = 0100000, kSIflnk = 0120000;
constexpr int kEnxio = 6, kEisdir = 21, kEloop = 40;

// Only files and, where one was asked for, directories are handed out: never what could block,
// or mean something else to its reader.
int CheckType(uint32_t mode, uint64_t flags) {
  uint32_t type = mode & kSIfmt;
  bool directory = (flags & kODirectory) != 0;
  if (type == kSIfdir) return directory ? 0 : -kEisdir;
  if (directory) return -kEnotdir;
  if (type == kSIflnk) return -kEloop;
  return type == kSIfreg ? 0 : -kEnxio;
}

// What is written there acts with the rights of whoever calls write(2): with Node's, not the
// container's.
bool IsKernelInterface(int fd) {
  constexpr uint32_t kMagics[] = {
      0x9FA0,      // proc
      0x62656572,  // sysfs
      0x27E0EB,    // cgroup
      0x63677270,  // cgroup2
      0x64626720,  // debugfs
      0x74726163,  // tracefs
      0x73636673,  // securityfs
      0xF97CFF8C,  // selinuxfs
      0x43415D53,  // smackfs
      0x62656570,  // configfs
      0xCAFE4A11,  // bpf
      0x42494E4D,  // binfmt_misc
      0x6165676C,  // pstore
      0xDE5E81E4,  // efivarfs
      0x6E736673,  // nsfs
      0x19800202,  // mqueue
  };
  StatFs st;
  if (Sys(__NR_fstatfs, fd, P(&st)) != 0) return true;
  for (uint32_t magic : kMagics)
    if (static_cast<uint32_t>(st.type) == magic) return true;
  return false;
}

bool Writes(uint64_t flags) { return (flags & kOAccess) != kOReadOnly || (flags & kOTrunc) != 0; }

// The descriptor and its state into the reply.
int HandOut(FileAgent& a, int fd, uint64_t flags) {
  StatX st;
  int error = StatTarget(fd, &st);
  if (error == 0) error = CheckType(st.mode, flags);
  const bool special = error == 0 && IsKernelInterface(fd);
  if (special && Writes(flags)) error = -kEperm;
  // A file of the kernel's may have a reader wait, as /proc/kmsg does: there Node gets EAGAIN.
  if (error == 0 && !special) {
    constexpr long kFGetfl = 3, kFSetfl = 4;
    long status = Sys(__NR_fcntl, fd, kFGetfl, 0);
    error = static_cast<int>(Sys(__NR_fcntl, fd, kFSetfl, status & ~long{kONonblock}));
  }
  if (error != 0) {
    Close(fd);
    return error;
  }
  __builtin_memcpy(a.data, &st, sizeof st);
  a.dataSize = sizeof st;
  a.fd = fd;
  return 0;
}

// Entries from `from` on (all ones: where the descriptor is) into the reply; `last` when they are
// the last.
int List(FileAgent& a, int fd, uint64_t from, uint64_t most) {
  if (from != ~uint64_t{0}) {
    long at = Sys(__NR_lseek, fd, static_cast<long>(from), 0);
    if (at < 0) return static_cast<int>(at);
  }
  uint32_t end =
      most < kMaxFileData - a.dataSize ? a.dataSize + static_cast<uint32_t>(most) : kMaxFileData;
  bool first = true;
  for (;;) {
    long n = Sys(__NR_getdents64, fd, P(a.data + a.dataSize), end - a.dataSize);
    // getdents64(2): no room for even one more.
    if (n == -kEinval && !first) return 0;
    if (n < 0) return static_cast<int>(n);
    if (n == 0) {
      a.last = true;
      return 0;
    }
    a.dataSize += static_cast<uint32_t>(n);
    first = false;
  }
}

// A file that is there already, looked at before it is opened: opening a fifo or a device can have
// effects of its own.
int OpenExisting(FileAgent& a, const FileRequestView& r, uint64_t flags) {
  FileRequestView wanted = r;
  if ((flags & kONofollow) != 0) wanted.header.flags |= FILE_NOFOLLOW;
  Target target = OpenTarget(a, wanted);
  if (target.fd() < 0) return target.fd();
  StatX st;
  if (int error = StatTarget(target.fd(), &st)) return error;
  if (int error = CheckType(st.mode, flags)) return error;
  // Before O_TRUNC could do anything.
  if (Writes(flags) && IsKernelInterface(target.fd())) return -kEperm;
  int fd = ReopenTarget(a, target.fd(), flags & ~uint64_t{kOCreat | kOExcl | kONofollow});
  return fd < 0 ? fd : HandOut(a, fd, flags);
}

int Create(FileAgent& a, const FileRequestView& r, uint64_t flags) {
  int start = StartOf(a, r.header.dir);
  if (start < 0) return start;
  if ((r.header.flags & FILE_NOFOLLOW) != 0) flags |= kONofollow;
  int fd = OpenAt2(start, r.path, flags | kNeverWait, ResolveFlags(r.header),
                   r.header.number[1] & 07777);
  return fd < 0 ? fd : HandOut(a, fd, flags);
}

}  // namespace

int ReopenTarget(const FileAgent& a, int fd, uint64_t flags) {
  FdName name(fd);
  return static_cast<int>(
      Sys(__NR_openat, a.self, P(name.text), static_cast<long>(flags | kNeverWait)));
}

int FileOp_open(FileAgent& a, const FileRequestView& r) {
  uint64_t flags = r.header.number[0];
  if ((flags & ~uint64_t{kAllowed}) != 0) return -kEinval;
  if ((flags & kODirectory) != 0 && (Writes(flags) || (flags & kOCreat) != 0)) return -kEisdir;
  const uint64_t fresh = kOCreat | kOExcl;
  if ((flags & fresh) == fresh) return Create(a, r, flags);
  // Opened without O_CREAT where it exists, so that fs.protected_regular does not matter (proc(5)).
  int error = OpenExisting(a, r, flags);
  if (error != -kEnoent || (flags & kOCreat) == 0) return error;
  return Create(a, r, flags);
}

int FileOp_openDir(FileAgent& a, const FileRequestView& r) {
  uint32_t handle = 0;
  while (handle < kMaxFileDirs && a.dirs[handle] >= 0) handle++;
  if (handle == kMaxFileDirs) return -kEmfile;
  int start = StartOf(a, r.header.dir);
  if (start < 0) return start;
  uint64_t flags = kODirectory | kNeverWait;
  if ((r.header.flags & FILE_NOFOLLOW) != 0) flags |= kONofollow;
  int fd = OpenAt2(start, r.path, flags, ResolveFlags(r.header));
  if (fd < 0) return fd;
  StatX st;
  int error = StatTarget(fd, &st);
  __builtin_memcpy(a.data, &st, sizeof st);
  a.dataSize = sizeof st;
  if (error == 0 && r.header.number[1] != 0)
    error = List(a, fd, r.header.number[0], r.header.number[1]);
  if (error != 0) {
    Close(fd);
    return error;
  }
  a.dirs[handle] = fd;
  a.value = handle;
  return 0;
}

int FileOp_closeDir(FileAgent& a, const FileRequestView& r) {
  int fd = StartOf(a, r.header.dir);
  if (fd < 0 || r.header.dir == kFileCwd) return -kEbadf;
  Close(fd);
  a.dirs[r.header.dir] = -1;
  return 0;
}

int FileOp_readdir(FileAgent& a, const FileRequestView& r) {
  int fd = StartOf(a, r.header.dir);
  if (fd < 0 || r.header.dir == kFileCwd) return -kEbadf;
  return List(a, fd, r.header.number[0], r.header.number[1]);
}

int FileOp_stat(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  StatX st;
  if (int error = StatTarget(target.fd(), &st)) return error;
  __builtin_memcpy(a.data, &st, sizeof st);
  a.dataSize = sizeof st;
  return 0;
}

int FileOp_access(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  FdName name(target.fd());
  return static_cast<int>(
      Sys(__NR_faccessat, a.self, P(name.text), static_cast<long>(r.header.number[0] & 7)));
}

int FileOp_truncate(FileAgent& a, const FileRequestView& r) {
  if (r.header.number[0] > ~uint64_t{0} >> 1) return -kEinval;
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  StatX st;
  if (int error = StatTarget(target.fd(), &st)) return error;
  if (int error = CheckType(st.mode, 0)) return error == -kEnxio ? -kEinval : error;
  // By a descriptor: truncate(2) itself waits for a lease to be given up.
  Target file(ReopenTarget(a, target.fd(), kOWriteOnly), true);
  if (file.fd() < 0) return file.fd();
  return static_cast<int>(Sys(__NR_ftruncate, file.fd(), static_cast<long>(r.header.number[0])));
}

int FileOp_statfs(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  auto* st = reinterpret_cast<StatFs*>(a.data);
  a.dataSize = sizeof *st;
  return static_cast<int>(Sys(__NR_fstatfs, target.fd(), P(st)));
}

}  // namespace ringfort
