// The file agent's requests and its loop.
#include "launcher/file_agent.h"

namespace ringfort {
namespace {

struct OpKind {
  uint32_t paths, data;
};

constexpr OpKind kOps[] = {
#define FILE_OP(name, paths, data) {paths, data},
#include "file_ops.def"
#undef FILE_OP
};

alignas(16) uint8_t request[kMaxFileRequest];
alignas(16) uint8_t answer[kMaxFileData];

// Takes a text of `size` bytes and its NUL; null when it does not fit or holds another NUL.
char* TakeText(uint8_t** at, size_t* left, uint32_t size) {
  if (size > kMaxFilePath || size + size_t{1} > *left) return nullptr;
  char* text = reinterpret_cast<char*>(*at);
  if (text[size] != 0 || Length(text) != size) return nullptr;
  *at += size + 1;
  *left -= size + 1;
  return text;
}

int Dispatch(FileAgent& a, const FileRequestView& r) {
  switch (static_cast<FileOp>(r.header.op)) {
#define FILE_OP(name, paths, data) \
  case FileOp::name:               \
    return FileOp_##name(a, r);
#include "file_ops.def"
#undef FILE_OP
    case FileOp::count: break;
  }
  return -kEproto;
}

// 0, or why it has not left.
long SendReply(int socket, const FileReply& reply, const uint8_t* data, int fd) {
  CmsgFd control = {{sizeof(CmsgHeader) + sizeof(int), kSolSocket, kScmRights}, fd, 0};
  IoVec iov[2] = {{const_cast<FileReply*>(&reply), sizeof reply},
                  {const_cast<uint8_t*>(data), reply.dataSize}};
  MsgHeader message{nullptr, 0, iov, 2, nullptr, 0, 0};
  if (fd >= 0) {
    message.control = &control;
    message.controllen = sizeof control;
  }
  long n = Insist(kEpipe, __NR_sendmsg, socket, P(&message), kMsgNosignal);
  return n < 0 ? n : 0;
}

void Answer(FileAgent& a, uint32_t id, int error) {
  FileReply reply = {static_cast<uint32_t>(FileReplyKind::reply),
                     id,
                     -error,
                     a.last ? 1u : 0u,
                     a.value,
                     error == 0 ? a.dataSize : 0};
  long failed = SendReply(a.socket, reply, a.data, error == 0 ? a.fd : -1);
  // Such as ETOOMANYREFS (unix(7)): without its descriptor it leaves.
  if (failed != 0 && failed != -kEpipe && a.fd >= 0) {
    reply.error = static_cast<int32_t>(-failed);
    reply.dataSize = 0;
    failed = SendReply(a.socket, reply, a.data, -1);
  }
  if (a.fd >= 0) Close(a.fd);
  a.fd = -1;
  if (failed != 0) Exit(0);  // Node is gone
}

// Keeps one descriptor at most; false when there were more.
bool TakePassed(FileAgent& a, const MsgHeader& message, const CmsgHeader* control) {
  constexpr uint32_t kCut = 8 | 0x20;  // MSG_CTRUNC, MSG_TRUNC
  a.passed = -1;
  size_t count = 0;
  if (message.controllen >= sizeof *control && control->level == kSolSocket &&
      control->type == kScmRights)
    count = (control->len - sizeof *control) / sizeof(int);
  const auto* fds = reinterpret_cast<const uint8_t*>(control) + sizeof *control;
  for (size_t i = 0; i < count; i++) {
    int fd;
    __builtin_memcpy(&fd, fds + i * sizeof fd, sizeof fd);
    if (i == 0)
      a.passed = fd;
    else
      Close(fd);
  }
  return count <= 1 && (message.flags & kCut) == 0;
}

void OnFileRequest(FileAgent& a) {
  struct {
    CmsgHeader head;
    int fds[2];
  } control = {};
  IoVec iov{request, sizeof request};
  MsgHeader message{nullptr, 0, &iov, 1, &control, sizeof control, 0};
  long n = Sys(__NR_recvmsg, a.socket, P(&message), kMsgCmsgCloexec | kMsgDontwait);
  if (n == -kEagain) return;
  if (n <= 0) Exit(0);
  bool whole = TakePassed(a, message, &control.head);
  FileRequestView view;
  bool good = ParseFileRequest(request, static_cast<size_t>(n), &view) && whole;
  a.value = a.dataSize = 0;
  a.last = false;
  int error = good ? Dispatch(a, view) : -kEproto;
  if (a.passed >= 0) Close(a.passed);
  Answer(a, view.header.id, error);
}

void OnInotify(FileAgent& a) {
  long n = Read(a.inotify, a.data, kMaxFileData);
  if (n <= 0) return;
  FileReply events = {
      static_cast<uint32_t>(FileReplyKind::events), 0, 0, 0, 0, static_cast<uint32_t>(n)};
  if (SendReply(a.socket, events, a.data, -1) != 0) Exit(0);
}

[[noreturn]] void Serve(FileAgent& a) {
  constexpr int16_t kPollIn = 1;
  for (;;) {
    struct {
      int fd;
      int16_t events, revents;
    } polled[2] = {{a.socket, kPollIn, 0}, {a.inotify, kPollIn, 0}};
    long n = Insist(0, __NR_ppoll, P(polled), 2, 0, 0, kSigsetSize);
    if (n < 0) Exit(70);
    if (polled[1].revents != 0) OnInotify(a);
    if (polled[0].revents != 0) OnFileRequest(a);
  }
}

// Moves what is kept to 3, 4, 5 and closes everything else, the launcher's socket too: its end is
// how the launcher learns that the agent serves.
int KeepOnly(FileAgent& a, ChildReport* report) {
  constexpr long kDupfdCloexec = 1030, kAbove = 16;
  int* const kept[] = {&a.socket, &a.self, &a.base};
  for (int* fd : kept) {
    long copy = Sys(__NR_fcntl, *fd, kDupfdCloexec, kAbove);
    if (copy < 0) return static_cast<int>(copy);
    *fd = static_cast<int>(copy);
  }
  report->executing = 1;
  int place = 3;
  long error = 0;
  for (int* fd : kept) {
    if (error >= 0) error = Sys(__NR_dup3, *fd, place, static_cast<long>(kOCloexec));
    *fd = place++;
  }
  if (error >= 0) error = Sys(nr::close_range, 0, 2, 0);
  if (error >= 0) error = Sys(nr::close_range, place, ~0u, 0);
  if (error >= 0) return 0;
  report->executing = 0;
  return static_cast<int>(error);
}

int OpenSelf(const Context& c) {
  int self = OpenAt2(c.home->proc, "self/fd", kOPath | kODirectory, kResolveNoMagiclinks);
  if (self >= 0) return self;
  // Without the launcher's own proc the container's has to do; it must be one.
  self = OpenAt2(kAtFdCwd, "/proc/self/fd", kOPath | kODirectory, kResolveNoMagiclinks);
  StatFs st;
  constexpr int64_t kProcMagic = 0x9FA0;
  if (self >= 0 && (Sys(__NR_fstatfs, self, P(&st)) != 0 || st.type != kProcMagic)) {
    Close(self);
    return -kEnoent;
  }
  return self;
}

}  // namespace

bool ParseFileRequest(uint8_t* bytes, size_t size, FileRequestView* out) {
  *out = FileRequestView{};
  FileRequest& header = out->header;
  if (size < sizeof header) return false;
  __builtin_memcpy(&header, bytes, sizeof header);
  if (header.op >= static_cast<uint32_t>(FileOp::count)) return false;
  if ((header.flags & ~uint32_t{FILE_NOFOLLOW | FILE_NOSYMLINKS}) != 0) return false;
  const OpKind& kind = kOps[header.op];
  uint8_t* at = bytes + sizeof header;
  size_t left = size - sizeof header;
  out->path = TakeText(&at, &left, header.pathSize);
  out->path2 = out->path == nullptr ? nullptr : TakeText(&at, &left, header.path2Size);
  if (out->path2 == nullptr || left != header.dataSize || left > kMaxFileData) return false;
  if (kind.paths < 2 && header.path2Size != 0) return false;
  if (kind.paths < 1 && header.pathSize != 0) return false;
  if (kind.data == 0 && left != 0) return false;
  out->data = at;
  return true;
}

int Step_serveFiles(Context& c, const Arg* args) {
  constexpr long kSoType = 3;
  constexpr int kSeqpacket = 5;
  FileAgent a = {};
  a.inotify = a.passed = a.fd = -1;
  for (int& dir : a.dirs) dir = -1;
  a.data = answer;
  a.socket = SlotFd(c, args[0].number);
  int type = 0, size = sizeof type;
  if (long error = Sys(__NR_getsockopt, a.socket, kSolSocket, kSoType, P(&type), P(&size)))
    return static_cast<int>(error);
  if (type != kSeqpacket) return -kEinval;
  // The guest has the same ids: nothing but this keeps it from tracing us (ptrace(2)).
  if (long error = Sys(__NR_prctl, kPrSetDumpable, 0)) return static_cast<int>(error);
  Sys(__NR_prctl, kPrSetName, P("ringfort-files"));
  // What is sent to every process of the container is not for this one, but for its end.
  const uint64_t blocked = ~(uint64_t{1} << (kSigterm - 1));
  if (long error = Sys(__NR_rt_sigprocmask, kSigSetmask, P(&blocked), 0, kSigsetSize))
    return static_cast<int>(error);
  a.self = OpenSelf(c);
  if (a.self < 0) return a.self;
  a.base = OpenAt2(kAtFdCwd, ".", kOPath | kODirectory, 0);
  if (a.base < 0) return a.base;
  if (long error = Sys(__NR_fchdir, a.self)) return static_cast<int>(error);
  // The plan may hold secrets; `args` lie in it.
  Wipe(c.planBytes, c.planSize);
  if (int error = KeepOnly(a, c.report)) return error;
  Serve(a);
}

}  // namespace ringfort
