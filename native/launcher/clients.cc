// Who hears what: Node, and of a detached container everybody who has connected. A client that does
// not read waits for its own reports, and nobody else does.
#include "launcher/container.h"

namespace ringfort {
namespace {

constexpr uint32_t kQueueBytes = 1u << 20;

// A report in a client's queue; header and data follow.
struct Pending {
  uint32_t size;
  int fd;  // that goes with it, -1 without
};

int Duplicate(int fd) {
  constexpr long kDupfdCloexec = 1030;
  return fd < 0 ? -1 : static_cast<int>(Sys(__NR_fcntl, fd, kDupfdCloexec, 3));
}

void WatchFor(Launcher& l, const Client& client, uint32_t events) {
  constexpr long kModify = 3;
  uint64_t index = static_cast<uint64_t>(&client - l.clients);
  EpollEvent event{events, index << 8 | static_cast<uint64_t>(Watch::client)};
  Insist(0, __NR_epoll_ctl, l.poll, kModify, client.fd, P(&event));
}

bool Enqueue(Launcher& l, Client& client, const ReportHeader& report, const void* data, int fd) {
  uint32_t size = static_cast<uint32_t>(sizeof report) + report.dataSize;
  if (client.queue == nullptr) client.queue = static_cast<uint8_t*>(Map(kQueueBytes, false));
  if (client.queue == nullptr || size + sizeof(Pending) > kQueueBytes - client.queued) return false;
  Pending pending = {size, Duplicate(fd)};
  uint8_t* at = client.queue + client.queued;
  __builtin_memcpy(at, &pending, sizeof pending);
  __builtin_memcpy(at + sizeof pending, &report, sizeof report);
  if (report.dataSize > 0)
    __builtin_memcpy(at + sizeof pending + sizeof report, data, report.dataSize);
  client.queued += static_cast<uint32_t>(sizeof pending) + size;
  WatchFor(l, client, kEpollin | kEpollout);
  return true;
}

// Takes the first report out of a queue whose rest begins at `at`; 0, or why it is there still.
int SendQueued(const Client& client, uint32_t* at) {
  Pending pending;
  __builtin_memcpy(&pending, client.queue + *at, sizeof pending);
  ReportHeader report;
  const uint8_t* bytes = client.queue + *at + sizeof pending;
  __builtin_memcpy(&report, bytes, sizeof report);
  int error = Send(client.fd, report, bytes + sizeof report, pending.fd, kMsgDontwait);
  if (error != 0 && error != -kEpipe) return error;
  if (pending.fd >= 0) Close(pending.fd);
  *at += static_cast<uint32_t>(sizeof pending) + pending.size;
  return 0;
}

// Out of what there may be more of soon: whoever waits for it must not keep us busy meanwhile.
void PauseShortly() {
  TimeSpec pause = {0, 5000000};
  Sys(__NR_ppoll, 0, 0, P(&pause), 0, kSigsetSize);
}

void EmptyQueue(Client& client) {
  for (uint32_t at = 0; at < client.queued;) {
    Pending pending;
    __builtin_memcpy(&pending, client.queue + at, sizeof pending);
    if (pending.fd >= 0) Close(pending.fd);
    at += static_cast<uint32_t>(sizeof pending) + pending.size;
  }
  if (client.queue != nullptr) Unmap(client.queue, kQueueBytes);
  client.queue = nullptr;
  client.queued = 0;
}

}  // namespace

void Reply(Launcher& l, Client& client, const ReportHeader& report, const void* data, int fd) {
  if (client.fd < 0) return;
  // Node alone: everything here is its own, so it may take its time.
  if (!l.monitor.detached) {
    constexpr long kBoth = 2;
    // What it will not hear of it would wait for: better the end of the launcher, which it sees.
    if (Send(client.fd, report, data, fd, 0) != 0) Sys(__NR_shutdown, client.fd, kBoth);
    return;
  }
  int error = client.queued > 0 ? -kEagain : Send(client.fd, report, data, fd, kMsgDontwait);
  if (error == 0) return;
  // Whatever it is short of, there may be enough of it later.
  if (error == -kEpipe || !Enqueue(l, client, report, data, fd)) DropClient(l, client);
}

void Tell(Launcher& l, const Container& c, const ReportHeader& report, const void* data, int fd) {
  bool all = l.monitor.detached && c.number == l.monitor.container;
  for (Client& client : l.clients)
    if (client.fd >= 0 && (all || client.serial == c.client)) Reply(l, client, report, data, fd);
}

void FlushClient(Launcher& l, Client& client) {
  uint32_t at = 0;
  int error = 0;
  while (at < client.queued && error == 0) error = SendQueued(client, &at);
  // It has room for more, so it would be tried again at once, for ever.
  if (error != 0 && !IsShortage(error)) return DropClient(l, client);
  if (error != 0 && error != -kEagain) PauseShortly();
  if (at == 0) return;
  client.queued -= at;
  __builtin_memmove(client.queue, client.queue + at, client.queued);
  if (client.queued == 0) WatchFor(l, client, kEpollin);
}

bool AllHeard(const Launcher& l) {
  for (const Client& client : l.clients)
    if (client.fd >= 0 && client.queued > 0) return false;
  return true;
}

void AcceptClient(Launcher& l) {
  long fd = Sys(__NR_accept4, l.monitor.listening, 0, 0, kONonblock | kOCloexec);
  if (fd < 0) {
    // Out of descriptors: whoever knocks stays at the door.
    if (fd != -kEagain) PauseShortly();
    return;
  }
  for (uint32_t i = 0; i < kMaxClients; i++) {
    Client& client = l.clients[i];
    if (client.fd >= 0) continue;
    if (Watching(l, static_cast<int>(fd), Watch::client, i) != 0) break;
    client = Client{static_cast<int>(fd), ++l.nextSerial, nullptr, 0};
    return;
  }
  Close(static_cast<int>(fd));
}

void DropClient(Launcher& l, Client& client) {
  Unwatch(l, &client.fd);
  EmptyQueue(client);
  for (uint32_t i = 0; i < l.capacity; i++) {
    Container& c = l.table[i];
    if (c.state != State::unused && c.client == client.serial && c.parent != 0) Kill(l, c);
  }
}

}  // namespace ringfort
