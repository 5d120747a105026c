// How the file agent finds what a path means.
#include "launcher/file_agent.h"

namespace ringfort {

FdName::FdName(int fd) : text{} {
  char digits[12];
  int count = 0;
  do digits[count++] = static_cast<char>('0' + fd % 10);
  while ((fd /= 10) > 0);
  for (int i = 0; count > 0;) text[i++] = digits[--count];
}

int StartOf(const FileAgent& a, uint32_t dir) {
  if (dir == kFileCwd) return a.base;
  // kFilePassed, too, is no handle.
  if (dir >= kMaxFileDirs || a.dirs[dir] < 0) return -kEbadf;
  return a.dirs[dir];
}

uint64_t ResolveFlags(const FileRequest& r) {
  return kResolveNoMagiclinks | ((r.flags & FILE_NOSYMLINKS) != 0 ? kResolveNoSymlinks : 0);
}

Target OpenTarget(const FileAgent& a, const FileRequestView& r) {
  if (r.header.dir == kFilePassed)
    return Target(a.passed < 0 || r.header.pathSize != 0 ? -kEbadf : a.passed, false);
  int start = StartOf(a, r.header.dir);
  if (start < 0) return Target(start, false);
  // A handle with an empty path is the directory itself.
  if (r.header.pathSize == 0 && r.header.dir != kFileCwd) return Target(start, false);
  uint64_t flags = kOPath | ((r.header.flags & FILE_NOFOLLOW) != 0 ? kONofollow : 0);
  return Target(OpenAt2(start, r.path, flags, ResolveFlags(r.header)), true);
}

Target OpenParent(const FileAgent& a, const FileRequest& r, uint32_t dir, char* path,
                  const char** name) {
  int start = StartOf(a, dir);
  if (start < 0) return Target(start, false);
  size_t end = Length(path);
  if (end == 0) return Target(-kEnoent, false);
  while (end > 0 && path[end - 1] == '/') end--;
  size_t cut = end;
  while (cut > 0 && path[cut - 1] != '/') cut--;
  // The root has no name; the kernel knows what to say to ".".
  *name = end == 0 ? "." : path + cut;
  if (end != 0 && cut == 0) return Target(start, false);
  const char* parent = "/";
  if (cut > 1) {
    path[cut - 1] = 0;
    parent = path;
  }
  return Target(OpenAt2(start, parent, kOPath | kODirectory, ResolveFlags(r)), true);
}

int StatTarget(int fd, StatX* st) {
  constexpr long kBasicAndBirth = 0xFFF;
  return static_cast<int>(Sys(__NR_statx, fd, P(""), kAtEmptyPath, kBasicAndBirth, P(st)));
}

}  // namespace ringfort
