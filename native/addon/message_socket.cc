#include "addon/message_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "file_protocol.h"
#include "protocol.h"

namespace ringfort {
namespace {

constexpr size_t kMaxReport = sizeof(ReportHeader) + kMaxReportData;
constexpr size_t kMaxFileReply = sizeof(FileReply) + kMaxFileData;
constexpr size_t kMaxMessage = kMaxReport > kMaxFileReply ? kMaxReport : kMaxFileReply;

std::vector<int> DescriptorsOf(msghdr* message) {
  std::vector<int> fds;
  for (cmsghdr* c = CMSG_FIRSTHDR(message); c != nullptr; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      fds.push_back(fd);
    }
  }
  return fds;
}

}  // namespace

int MessageSocket::Open(uv_loop_t* loop, int fd) {
  // Fresh and pollable; what is left to fail is the loop's own memory.
  if (int error = uv_poll_init(loop, &poll_, fd)) return -error;
  fd_ = fd;
  poll_.data = this;
  uv_poll_start(&poll_, UV_READABLE, OnPoll);
  open_ = true;
  Unref();
  return 0;
}

void MessageSocket::OnPoll(uv_poll_t* handle, int status, int events) {
  auto* self = static_cast<MessageSocket*>(handle->data);
  if ((events & UV_WRITABLE) != 0) {
    uv_poll_start(handle, UV_READABLE, OnPoll);
    self->owner_->OnWritable();
  }
  // libuv stops to look at an error (EPOLLERR), which reading takes away: there may be more to read
  // than is in one turn.
  if (status < 0) uv_poll_start(handle, UV_READABLE, OnPoll);
  if (status < 0 || (events & UV_READABLE) != 0) self->ReadAll();
}

void MessageSocket::ReadAll() {
  // Bounded, so that a flood of messages cannot starve the event loop; uv_poll is level-triggered.
  for (int i = 0; i < 64 && open_; i++)
    if (!ReadOne()) return;
}

void MessageSocket::ReadRest() {
  while (open_ && ReadOne()) continue;
}

bool MessageSocket::ReadOne() {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  static thread_local char buffer[kMaxMessage];
  iovec iov{buffer, sizeof buffer};
  msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  // ECONNRESET is said once, when the other side has died with something unread, and before what it
  // has said itself.
  do n = recvmsg(fd_, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (n < 0 && (errno == EINTR || errno == ECONNRESET));
  if (n <= 0) {
    if (n < 0 && errno == EAGAIN) return false;
    uv_poll_stop(&poll_);
    owner_->OnEnd();
    return false;
  }
  owner_->OnMessage(buffer, static_cast<size_t>(n), DescriptorsOf(&message));
  return true;
}

int MessageSocket::Send(iovec* parts, size_t count, const int* fds, size_t fdCount) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  if (fdCount > kMaxFds) return EINVAL;
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  if (fdCount > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fdCount);
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * fdCount);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * fdCount);
  }
  ssize_t n;
  do n = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  return n < 0 ? errno : 0;
}

void MessageSocket::WatchWritable() {
  if (open_) uv_poll_start(&poll_, UV_READABLE | UV_WRITABLE, OnPoll);
}

void MessageSocket::Close() {
  if (!open_) return;
  open_ = false;
  shutdown(fd_, SHUT_RDWR);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
    auto* self = static_cast<MessageSocket*>(handle->data);
    close(self->fd_);
    self->owner_->OnClosed();
  });
}

void MessageSocket::Ref() {
  if (open_) uv_ref(reinterpret_cast<uv_handle_t*>(&poll_));
}

void MessageSocket::Unref() {
  if (open_) uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
}

bool MessageSocket::HasRef() const {
  return uv_has_ref(reinterpret_cast<const uv_handle_t*>(&poll_)) != 0;
}

}  // namespace ringfort
