// Requests of the file agent that make, move and remove names. None follows a link at the end.
#include "launcher/file_agent.h"

namespace ringfort {
namespace {

constexpr long kRemoveDir = 0x200;

int Remove(FileAgent& a, const FileRequestView& r, long flags) {
  const char* name;
  Target parent = OpenParent(a, r.header, r.header.dir, r.path, &name);
  if (parent.fd() < 0) return parent.fd();
  return static_cast<int>(Sys(__NR_unlinkat, parent.fd(), P(name), flags));
}

}  // namespace

int FileOp_mkdir(FileAgent& a, const FileRequestView& r) {
  const char* name;
  Target parent = OpenParent(a, r.header, r.header.dir, r.path, &name);
  if (parent.fd() < 0) return parent.fd();
  return static_cast<int>(
      Sys(__NR_mkdirat, parent.fd(), P(name), static_cast<long>(r.header.number[0] & 07777)));
}

int FileOp_rmdir(FileAgent& a, const FileRequestView& r) { return Remove(a, r, kRemoveDir); }

int FileOp_unlink(FileAgent& a, const FileRequestView& r) { return Remove(a, r, 0); }

int FileOp_rename(FileAgent& a, const FileRequestView& r) {
  const char* from;
  const char* to;
  Target old = OpenParent(a, r.header, r.header.dir, r.path, &from);
  if (old.fd() < 0) return old.fd();
  Target next = OpenParent(a, r.header, r.header.dir2, r.path2, &to);
  if (next.fd() < 0) return next.fd();
  return static_cast<int>(Sys(__NR_renameat2, old.fd(), P(from), next.fd(), P(to),
                              static_cast<long>(r.header.number[0])));
}

int FileOp_symlink(FileAgent& a, const FileRequestView& r) {
  const char* name;
  Target parent = OpenParent(a, r.header, r.header.dir, r.path, &name);
  if (parent.fd() < 0) return parent.fd();
  return static_cast<int>(Sys(__NR_symlinkat, P(r.path2), parent.fd(), P(name)));
}

int FileOp_readlink(FileAgent& a, const FileRequestView& r) {
  FileRequestView link = r;
  link.header.flags |= FILE_NOFOLLOW;
  Target target = OpenTarget(a, link);
  if (target.fd() < 0) return target.fd();
  long n = Sys(__NR_readlinkat, target.fd(), P(""), P(a.data), kMaxFilePath + 1);
  // With an empty name the kernel says ENOENT where a path would be EINVAL (readlinkat(2)).
  if (n < 0) return n == -kEnoent ? -kEinval : static_cast<int>(n);
  a.dataSize = static_cast<uint32_t>(n);
  return 0;
}

int FileOp_link(FileAgent& a, const FileRequestView& r) {
  const char* from;
  const char* to;
  Target old = OpenParent(a, r.header, r.header.dir, r.path, &from);
  if (old.fd() < 0) return old.fd();
  Target next = OpenParent(a, r.header, r.header.dir2, r.path2, &to);
  if (next.fd() < 0) return next.fd();
  return static_cast<int>(Sys(__NR_linkat, old.fd(), P(from), next.fd(), P(to), 0));
}

int FileOp_whiteout(FileAgent& a, const FileRequestView& r) {
  const char* name;
  Target parent = OpenParent(a, r.header, r.header.dir, r.path, &name);
  if (parent.fd() < 0) return parent.fd();
  return static_cast<int>(Sys(__NR_mknodat, parent.fd(), P(name), static_cast<long>(kSIfchr), 0));
}

int FileOp_mknod(FileAgent& a, const FileRequestView& r) {
  constexpr uint64_t kSIfreg = 0100000, kSIfifo = 0010000, kSIfsock = 0140000;
  uint64_t mode = r.header.number[0] & (kSIfmt | 07777), type = mode & kSIfmt;
  // A device is more than a name.
  if (type != kSIfreg && type != kSIfifo && type != kSIfsock) return -kEperm;
  const char* name;
  Target parent = OpenParent(a, r.header, r.header.dir, r.path, &name);
  if (parent.fd() < 0) return parent.fd();
  return static_cast<int>(Sys(__NR_mknodat, parent.fd(), P(name), static_cast<long>(mode), 0));
}

}  // namespace ringfort
