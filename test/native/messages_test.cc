// Requests over a real socket: what comes whole is handed over, everything else is refused with
// every descriptor that came closed.
#include "launcher/messages.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "check.h"

using namespace ringfort;

namespace {

struct Pair {
  int ends[2];
  Pair() { CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0); }
  ~Pair() {
    close(ends[0]);
    close(ends[1]);
  }
};

int OpenCount() {
  int count = 0;
  for (int fd = 0; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) >= 0) count++;
  return count;
}

void Post(int socket, const void* bytes, size_t size, size_t fds) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 128)] = {};
  iovec iov{const_cast<void*>(bytes), size};
  msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  if (fds > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * fds);
    // Always our standard input, under as many new numbers as there are copies.
    for (size_t i = 0; i < fds; i++) std::memset(CMSG_DATA(head) + i * sizeof(int), 0, sizeof(int));
  }
  CHECK(sendmsg(socket, &message, 0) == static_cast<ssize_t>(size));
}

void TestWhole(size_t bodySize, size_t fds) {
  Pair pair;
  std::vector<uint8_t> bytes(sizeof(RequestHeader) + bodySize, 0x5A);
  const RequestHeader header{3, 7, 0, static_cast<uint32_t>(bodySize)};
  std::memcpy(bytes.data(), &header, sizeof header);
  const int before = OpenCount();
  Post(pair.ends[0], bytes.data(), bytes.size(), fds);
  Received request;
  CHECK(Receive(pair.ends[1], &request) == 1);
  CHECK(std::memcmp(&request.header, &header, sizeof header) == 0);
  CHECK(request.bodySize == bodySize);
  CHECK(std::memcmp(request.body, bytes.data() + sizeof header, bodySize) == 0);
  CHECK(request.fdCount == fds);
  for (size_t i = 0; i < fds; i++) CHECK(fcntl(request.fds[i], F_GETFD) == FD_CLOEXEC);
  CHECK(OpenCount() == before + static_cast<int>(fds));
  CloseFds(&request);
  CHECK(OpenCount() == before);
}

void TestRefused(size_t size, size_t fds) {
  Pair pair;
  const std::vector<uint8_t> bytes(size, 1);
  const int before = OpenCount();
  Post(pair.ends[0], bytes.data(), size, fds);
  Received request;
  CHECK(Receive(pair.ends[1], &request) == -kEproto);
  CHECK(request.fdCount == 0);
  CHECK(OpenCount() == before);
}

// No room for what comes: the message is there and says so, and nobody is cut off for it.
void TestNoRoom() {
  Pair pair;
  const RequestHeader header = {};
  Post(pair.ends[0], &header, sizeof header, 3);
  rlimit before;
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(dup(0));
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  Received request;
  CHECK(Receive(pair.ends[1], &request) == 1);
  CHECK(request.fdsLost && request.fdCount == 0);
  CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(close(static_cast<int>(none.rlim_cur)) == 0);
}

void TestEnds() {
  Pair pair;
  Received request;
  CHECK(fcntl(pair.ends[1], F_SETFL, O_NONBLOCK) == 0);
  CHECK(Receive(pair.ends[1], &request) == -kEagain);
  CHECK(shutdown(pair.ends[0], SHUT_WR) == 0);
  CHECK(Receive(pair.ends[1], &request) == 0);
}

// A report and its descriptor, as Node gets them.
void TestSend() {
  Pair pair;
  ReportHeader report = {};
  report.type = static_cast<uint32_t>(Report::exited);
  report.dataSize = 5;
  CHECK(Send(pair.ends[0], report, "12345", 0, 0) == 0);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  char bytes[sizeof report + 16];
  iovec iov{bytes, sizeof bytes};
  msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  CHECK(recvmsg(pair.ends[1], &message, MSG_CMSG_CLOEXEC) == sizeof report + 5);
  CHECK(std::memcmp(bytes, &report, sizeof report) == 0);
  CHECK(std::memcmp(bytes + sizeof report, "12345", 5) == 0);
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  CHECK(head != nullptr && head->cmsg_len == CMSG_LEN(sizeof(int)));
  int fd;
  std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
  CHECK(close(fd) == 0);
}

// Who reads nothing holds up nobody, and who is gone is an error.
void TestSendFull() {
  Pair pair;
  ReportHeader report = {};
  int sent = 0, error = 0;
  while (error == 0 && sent < 1000000) {
    error = Send(pair.ends[0], report, nullptr, -1, MSG_DONTWAIT);
    sent++;
  }
  CHECK(error == -kEagain);
  CHECK(shutdown(pair.ends[1], SHUT_RDWR) == 0);
  CHECK(Send(pair.ends[0], report, nullptr, -1, MSG_DONTWAIT) == -kEpipe);
}

}  // namespace

int main() {
  TestNoRoom();
  TestWhole(0, 0);
  TestWhole(100, 1);
  TestWhole(kInlinePlanBytes, kMaxFds);
  TestRefused(1, 0);
  TestRefused(sizeof(RequestHeader) - 1, 3);
  TestRefused(sizeof(RequestHeader) + kInlinePlanBytes + 1, 2);
  TestRefused(sizeof(RequestHeader),
              kMaxFds + 1);  // the control buffer holds it, the rule does not
  TestRefused(sizeof(RequestHeader), kMaxFds + 2);  // the kernel itself cuts it
  TestEnds();
  TestSend();
  TestSendFull();
  return 0;
}
