// The file agent: a process of ours inside a container that does file system calls for Node. It
// runs no guest code and no C library, and the guest can neither trace it nor see its descriptors.
#pragma once
#include "file_protocol.h"
#include "launcher/context.h"

namespace ringfort {

// A request whose lengths have been checked; texts end in NUL.
struct FileRequestView {
  FileRequest header;
  char* path;
  char* path2;
  const uint8_t* data;
};

// False when it is malformed. `out->header.id` is the request's own where there was one to read.
bool ParseFileRequest(uint8_t* bytes, size_t size, FileRequestView* out);

struct FileAgent {
  int socket;
  int self;     // /proc/self/fd, also the working directory: "7" there is descriptor 7 itself
  int base;     // where relative paths start
  int inotify;  // -1 until the first watch
  int passed;   // the descriptor that came with the request in hand, -1 when none
  int dirs[kMaxFileDirs];
  // the reply in the making
  uint32_t value;
  bool last;
  uint32_t dataSize;
  int fd;  // to be sent and closed; -1 when none
  uint8_t* data;
};

// A descriptor that a request works on, closed at the end unless it is borrowed.
class Target {
 public:
  Target(int fd, bool owned) : fd_(fd), owned_(owned) {}
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() {
    if (owned_ && fd_ >= 0) Close(fd_);
  }
  int fd() const { return fd_; }  // or a negative errno

 private:
  int fd_;
  bool owned_;
};

// Its name in FileAgent::self.
struct FdName {
  char text[12];
  explicit FdName(int fd);
};

// file_agent_paths.cc. Every path is resolved inside the container's own mount namespace, and never
// through a magic link of proc.
int StartOf(const FileAgent& a, uint32_t dir);
uint64_t ResolveFlags(const FileRequest& r);
// What a path means, as an O_PATH descriptor: whatever happens to the name afterwards, the request
// is about this object.
Target OpenTarget(const FileAgent& a, const FileRequestView& r);
// The directory of a name that is to be made or removed; `name` has no slash but at its end.
Target OpenParent(const FileAgent& a, const FileRequest& r, uint32_t dir, char* path,
                  const char** name);
int StatTarget(int fd, StatX* st);
// file_agent_open.cc: opens such an object for reading or writing; never waits.
int ReopenTarget(const FileAgent& a, int fd, uint64_t flags);

// Answers one request: 0 or a negative errno; fills value, data and fd of the agent.
int RunFileOp(FileAgent& a, const FileRequestView& r);

// file_agent_*.cc: one function a request.
#define FILE_OP(name, paths, data) int FileOp_##name(FileAgent& a, const FileRequestView& r);
#include "file_ops.def"
#undef FILE_OP

}  // namespace ringfort
