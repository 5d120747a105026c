#include "launcher/messages.h"

#include "launcher/inside.h"

namespace ringfort {
namespace {

constexpr uint32_t kMsgCtrunc = 8, kMsgTrunc = 0x20;
alignas(16) uint8_t buffer[sizeof(RequestHeader) + kInlinePlanBytes];

size_t Aligned(size_t size) { return (size + 7) & ~size_t{7}; }

void TakeFds(const MsgHeader& message, Received* out) {
  auto* at = static_cast<const uint8_t*>(message.control);
  size_t left = message.controllen;
  while (left >= sizeof(CmsgHeader)) {
    CmsgHeader head;
    __builtin_memcpy(&head, at, sizeof head);
    if (head.len < sizeof head || head.len > left) return;
    if (head.level == kSolSocket && head.type == kScmRights) {
      size_t count = (head.len - sizeof head) / sizeof(int);
      const uint8_t* fds = at + sizeof head;
      for (size_t i = 0; i < count && out->fdCount <= kMaxFds; i++)
        __builtin_memcpy(&out->fds[out->fdCount++], fds + i * sizeof(int), sizeof(int));
    }
    size_t step = Aligned(head.len);
    if (step > left) return;
    at += step;
    left -= step;
  }
}

}  // namespace

bool ParseMessage(uint8_t* bytes, size_t size, const MsgHeader& message, Received* out) {
  *out = Received{};
  TakeFds(message, out);
  if ((message.flags & kMsgTrunc) != 0 || out->fdCount > kMaxFds) return false;
  // There was room in the buffer for one more than may come, so there was none in our table.
  out->fdsLost = (message.flags & kMsgCtrunc) != 0;
  if (size < sizeof(RequestHeader)) return false;
  __builtin_memcpy(&out->header, bytes, sizeof out->header);
  out->body = bytes + sizeof out->header;
  out->bodySize = static_cast<uint32_t>(size - sizeof out->header);
  return true;
}

void Wipe(void* at, size_t size) {
  constexpr uintptr_t kPage = 4096;
  constexpr long kDontNeed = 4;
  auto from = reinterpret_cast<uintptr_t>(at), to = from + size;
  auto start = reinterpret_cast<uintptr_t>(buffer), end = start + sizeof buffer;
  uintptr_t first = (start + kPage - 1) & ~(kPage - 1), last = end & ~(kPage - 1);
  // What is mapped from a file would read as before.
  if (from < start || to > end ||
      Sys(__NR_madvise, static_cast<long>(first), static_cast<long>(last - first), kDontNeed) != 0)
    return Zero(at, size);
  // The pages at its ends are shared with other things.
  if (from < first) Zero(at, (to < first ? to : first) - from);
  if (to > last)
    Zero(reinterpret_cast<void*>(from > last ? from : last), to - (from > last ? from : last));
}

int Receive(int socket, Received* out) {
  alignas(8) uint8_t control[sizeof(CmsgHeader) + sizeof(int) * (kMaxFds + 1)];
  IoVec iov{buffer, sizeof buffer};
  MsgHeader message{nullptr, 0, &iov, 1, control, sizeof control, 0};
  long n = Insist(kEagain, __NR_recvmsg, socket, P(&message), kMsgCmsgCloexec);
  if (n <= 0) return static_cast<int>(n);
  if (!ParseMessage(buffer, static_cast<size_t>(n), message, out)) {
    CloseFds(out);
    return -kEproto;
  }
  return 1;
}

bool PeerLives(int socket) {
  char byte;
  long n = Sys(__NR_recvfrom, socket, P(&byte), 1, kMsgPeek | kMsgDontwait);
  return n == -kEagain || n > 0;
}

int SendFd(int socket, char word, int fd) {
  CmsgFd control = {{sizeof(CmsgHeader) + sizeof(int), kSolSocket, kScmRights}, fd, 0};
  IoVec iov{&word, 1};
  MsgHeader message{nullptr, 0, &iov, 1, &control, sizeof control, 0};
  long n = Insist(kEpipe, __NR_sendmsg, socket, P(&message), kMsgNosignal);
  return n < 0 ? static_cast<int>(n) : 0;
}

ReportHeader NewReport(Report type, uint32_t id) {
  ReportHeader report = {};
  report.type = static_cast<uint32_t>(type);
  report.id = id;
  return report;
}

void CloseFds(Received* message) {
  for (uint32_t i = 0; i < message->fdCount; i++) Close(message->fds[i]);
  message->fdCount = 0;
}

int Send(int socket, const ReportHeader& report, const void* data, int fd, long flags) {
  CmsgFd control = {{sizeof(CmsgHeader) + sizeof(int), kSolSocket, kScmRights}, fd, 0};
  IoVec iov[2] = {{const_cast<ReportHeader*>(&report), sizeof report},
                  {const_cast<void*>(data), report.dataSize}};
  MsgHeader message{nullptr, 0, iov, 2, nullptr, 0, 0};
  if (fd >= 0) {
    message.control = &control;
    message.controllen = sizeof control;
  }
  const bool waits = (flags & kMsgDontwait) == 0;
  long n = waits ? Insist(kEpipe, __NR_sendmsg, socket, P(&message), kMsgNosignal | flags)
                 : Sys(__NR_sendmsg, socket, P(&message), kMsgNosignal | flags);
  return n < 0 ? static_cast<int>(n) : 0;
}

}  // namespace ringfort
