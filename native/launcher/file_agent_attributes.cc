// Requests of the file agent on attributes, and its watches. Each holds the object by a descriptor
// and names it through /proc/self/fd, so that no link can come in between.
#include "launcher/file_agent.h"

namespace ringfort {

int FileOp_chmod(FileAgent& a, const FileRequestView& r) {
  constexpr uint32_t kSIflnk = 0120000;
  constexpr int kEopnotsupp = 95;
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  StatX st;
  if (int error = StatTarget(target.fd(), &st)) return error;
  // File systems differ in what a link's mode would mean; fchmodat2(2) says this.
  if ((st.mode & kSIfmt) == kSIflnk) return -kEopnotsupp;
  FdName name(target.fd());
  return static_cast<int>(
      Sys(__NR_fchmodat, a.self, P(name.text), static_cast<long>(r.header.number[0] & 07777)));
}

int FileOp_chown(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  return static_cast<int>(Sys(__NR_fchownat, target.fd(), P(""),
                              static_cast<long>(static_cast<uint32_t>(r.header.number[0])),
                              static_cast<long>(static_cast<uint32_t>(r.header.number[1])),
                              kAtEmptyPath));
}

int FileOp_utimes(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  const uint64_t* n = r.header.number;
  TimeSpec times[2] = {{static_cast<int64_t>(n[0]), static_cast<int64_t>(n[1])},
                       {static_cast<int64_t>(n[2]), static_cast<int64_t>(n[3])}};
  FdName name(target.fd());
  return static_cast<int>(Sys(__NR_utimensat, a.self, P(name.text), P(times), 0));
}

int FileOp_getxattr(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  FdName name(target.fd());
  long n = Sys(__NR_getxattr, P(name.text), P(r.path2), P(a.data), kMaxFileData);
  if (n < 0) return static_cast<int>(n);
  a.dataSize = static_cast<uint32_t>(n);
  return 0;
}

int FileOp_setxattr(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  FdName name(target.fd());
  return static_cast<int>(Sys(__NR_setxattr, P(name.text), P(r.path2), P(r.data),
                              static_cast<long>(r.header.dataSize),
                              static_cast<long>(r.header.number[0])));
}

int FileOp_removexattr(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  FdName name(target.fd());
  return static_cast<int>(Sys(__NR_removexattr, P(name.text), P(r.path2)));
}

int FileOp_listxattr(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  FdName name(target.fd());
  long n = Sys(__NR_listxattr, P(name.text), P(a.data), kMaxFileData);
  if (n < 0) return static_cast<int>(n);
  a.dataSize = static_cast<uint32_t>(n);
  return 0;
}

int FileOp_watch(FileAgent& a, const FileRequestView& r) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  if (a.inotify < 0) {
    long fd = Sys(__NR_inotify_init1, static_cast<long>(kOCloexec | kONonblock));
    if (fd < 0) return static_cast<int>(fd);
    a.inotify = static_cast<int>(fd);
  }
  FdName name(target.fd());
  long watch = Sys(__NR_inotify_add_watch, a.inotify, P(name.text),
                   static_cast<long>(static_cast<uint32_t>(r.header.number[0])));
  if (watch < 0) return static_cast<int>(watch);
  a.value = static_cast<uint32_t>(watch);
  return 0;
}

int FileOp_unwatch(FileAgent& a, const FileRequestView& r) {
  if (a.inotify < 0) return -kEinval;
  return static_cast<int>(
      Sys(__NR_inotify_rm_watch, a.inotify, static_cast<long>(r.header.number[0])));
}

}  // namespace ringfort
