// The launcher: runs plans for one Node environment, and undoes them when Node is gone.
// Node starts it with the socket as descriptor 3 and, where there are such, the id lock as 4 and
// the journal as 5.
#include "launcher/container.h"
#include "launcher/home.h"
#include "launcher/journal.h"
#include "launcher/stops.h"

namespace ringfort {
namespace {

constexpr int kSocket = 3, kLock = 4, kJournal = 5;
// How long containers of a dead Node may take to go before the launcher gives up on them.
constexpr int64_t kStopMs = 10000;
// Between two looks at what could not be watched.
constexpr int64_t kLookMs = 10;

void Ready(Launcher& l, Client& client, const Received& request, int error) {
  ReportHeader report = NewReport(Report::ready, request.header.id);
  report.section = request.header.type;
  report.error = -error;
  Reply(l, client, report);
}

// At the end of the socket, and after a malformed request: then the other side is not the one we
// know. Without Node nothing lives on, unless it has been detached.
void Stop(Launcher& l, Client& client) {
  if (l.monitor.detached) return DropClient(l, client);
  if (l.stopping) return;
  l.stopping = true;
  Unwatch(l, &client.fd);
  for (uint32_t i = 0; i < l.capacity; i++)
    if (l.table[i].state != State::unused) Kill(l, l.table[i]);
}

void OnSetup(Launcher& l, Client& client, Received& request) {
  switch (static_cast<Request>(request.header.type)) {
    case Request::unshareUser:
      return Ready(l, client, request, l.homeMade ? -kEproto : UnshareUser(&l.home));
    case Request::makeHome: {
      int error = l.homeMade ? -kEproto : MakeHome(&l.home);
      if (error == 0) l.homeMade = true;
      return Ready(l, client, request, error);
    }
    case Request::detach: return Ready(l, client, request, Detached(l, request));
    case Request::hello: return Hello(l, client, request.header.id);
    case Request::feed: return Feed(l, client, request.header);
    default:
      if (!TakeStop(request.header)) Stop(l, client);
  }
}

void OnRequest(Launcher& l, Client& client, Received& request) {
  Container* c;
  switch (static_cast<Request>(request.header.type)) {
    case Request::launch:
    case Request::exec: return Launch(l, client, request);
    case Request::release: Release(l, client, request); break;
    case Request::signal:
      c = FindFor(l, client, request.header.id);
      if (c != nullptr) Signal(l, *c, static_cast<int>(request.header.arg));
      break;
    case Request::kill:
      c = FindFor(l, client, request.header.id);
      if (c != nullptr) Kill(l, *c);
      break;
    default: OnSetup(l, client, request);
  }
  CloseFds(&request);
}

void OnClient(Launcher& l, Client& client, uint32_t events) {
  // Before anything new is answered.
  if (client.queued > 0) FlushClient(l, client);
  if (client.fd < 0 || (events & ~kEpollout) == 0) return;
  Received request;
  int result = Receive(client.fd, &request);
  if (result == 1)
    OnRequest(l, client, request);
  else if (result != -kEagain)
    Stop(l, client);
}

void OnOutput(Launcher& l, uint32_t source) {
  Monitor& m = l.monitor;
  if (source >= 2 || m.log.source[source] < 0 || PumpLog(m.log, source) >= 0) return;
  if (m.feed == m.log.source[source]) m.feed = -1;
  Unwatch(l, &m.log.source[source]);
}

void OnEnded(Launcher& l) {
  uint8_t info[128];
  // Many ends may be one signal: it says that there was one, and waitid the rest.
  if (Read(l.ended, info, sizeof info) > 0) l.orphans = true;
}

// What is no container's.
bool OnOther(Launcher& l, Watch kind, uint32_t index, uint32_t events) {
  switch (kind) {
    case Watch::client:
      if (index < kMaxClients && l.clients[index].fd >= 0) OnClient(l, l.clients[index], events);
      return true;
    case Watch::listening: AcceptClient(l); return true;
    case Watch::output: OnOutput(l, index); return true;
    case Watch::ended: OnEnded(l); return true;
    default: return false;
  }
}

void OnEvent(Launcher& l, const EpollEvent& event) {
  auto kind = static_cast<Watch>(event.data & 0xFF);
  auto index = static_cast<uint32_t>(event.data >> 8);
  if (OnOther(l, kind, index, event.events)) return;
  if (index >= l.capacity || l.table[index].state == State::unused) return;
  Container& c = l.table[index];
  // An earlier event of the same batch may have closed what this one is about.
  if (kind == Watch::sync && c.sync >= 0)
    OnSync(l, c);
  else if (kind == Watch::pidfd && c.pidfd >= 0)
    OnExit(l, c);
  else if (kind == Watch::oom && c.oomEvent >= 0)
    OnOom(l, c);
  else if (kind == Watch::control && c.control >= 0)
    OnControl(l, c);
}

// What could not be watched: nothing says that something has come.
void LookAt(Launcher& l, Container& c) {
  if (c.sync >= 0) OnSync(l, c);
  if (c.state == State::unused) return;
  if (c.oomEvent >= 0) OnOom(l, c);
  if (c.control >= 0) OnControl(l, c);
  if (c.pidfd >= 0 && !c.inside && !c.deferred) OnExit(l, c);
}

// Carries out due retries; ms until the next one, -1 when there is none.
int64_t Retries(Launcher& l) {
  int64_t next = -1, now = Now();
  for (uint32_t i = 0; i < l.capacity; i++) {
    Container& c = l.table[i];
    if (c.unwatched) {
      LookAt(l, c);
      if (c.unwatched && (next < 0 || next > kLookMs)) next = kLookMs;
    }
    if (c.state != State::ended) continue;
    if (c.retryAt <= now) RetryTeardown(l, c);
    if (c.state != State::ended) continue;
    int64_t wait = c.retryAt > now ? c.retryAt - now : 1;
    if (next < 0 || wait < next) next = wait;
  }
  return next;
}

int Loop(Launcher& l) {
  EpollEvent events[16];
  int64_t stopAt = 0;
  for (;;) {
    int64_t wait = Retries(l);
    bool ends = l.stopping || (l.monitor.detached && l.live == 0);
    if (ends) {
      if (l.live == 0 && AllHeard(l)) {
        EndJournal(l.home);
        return 0;
      }
      if (stopAt == 0) stopAt = Now() + kStopMs;
      int64_t left = stopAt - Now();
      if (left <= 0) return 1;
      if (wait < 0 || wait > left) wait = left;
    }
    if (l.orphans && ReapOrphans(l)) wait = 0;
    long n = Insist(0, __NR_epoll_pwait, l.poll, P(events), 16, wait);
    // Nothing would ever be heard again: with the launcher its containers end.
    if (n < 0) return 1;
    for (long i = 0; i < n; i++) OnEvent(l, events[i]);
  }
}

// Of those, too, that we have not cloned: where programs join, one that is killed may be survived
// by its child, which the host's init would reap late, or, where that is Node, never; and until
// then the container's pid namespace does not end.
int WatchEnds(Launcher& l) {
  // Stops are none of our business, and a guest can have as many as it wants.
  constexpr uint64_t kNoChildStop = 1;
  if (long error = Handle(kSigchld, kDefault, kNoChildStop)) return static_cast<int>(error);
  // A signal to the whole tree or cgroup (SIGTERM of systemd, of process managers) is for Node:
  // while it still ends its work its containers live, and after that the launcher goes, too.
  const uint64_t all = ~uint64_t{0}, mask = uint64_t{1} << (kSigchld - 1);
  if (long error = Sys(__NR_rt_sigprocmask, kSigSetmask, P(&all), 0, kSigsetSize))
    return static_cast<int>(error);
  l.ended = static_cast<int>(
      Sys(__NR_signalfd4, -1, P(&mask), kSigsetSize, static_cast<long>(kOCloexec | kONonblock)));
  if (l.ended < 0) return l.ended;
  if (int error = Watching(l, l.ended, Watch::ended, 0)) return error;
  // What cannot be reaped never ends. There is nobody yet.
  long error = Sys(__NR_waitid, 0, 0, 0, kWexited | kWnohang | kWall, 0);
  if (error == -kEchild) error = Sys(__NR_wait4, -1, 0, kWnohang | kWall, 0);
  if (error != -kEchild) return error < 0 ? static_cast<int>(error) : -kEproto;
  return static_cast<int>(Sys(__NR_prctl, kPrSetChildSubreaper, 1, 0, 0, 0));
}

// Whether Node has passed it; then it is not passed on.
bool Passed(int fd) {
  long error = Insist(kEbadf, __NR_fcntl, fd, kFSetfd, kFdCloexec);
  if (error != 0 && error != -kEbadf) Exit(71);
  return error == 0;
}

}  // namespace
}  // namespace ringfort

int main() {
  using namespace ringfort;
  static Launcher l = {};
  for (Client& client : l.clients) client.fd = -1;
  l.clients[0].fd = kSocket;
  for (int& fd : l.slots) fd = -1;
  l.home.host = -1;
  static Journal journal;
  Passed(kSocket);
  Passed(kLock);
  if (Passed(kJournal)) {
    OpenJournal(journal, kJournal);
    l.home.journal = &journal;
  }
  // Later requests would fail anyway; Node learns of it by the end of the socket.
  if (CleanSelf(kJournal) != 0) return 71;
  l.poll = static_cast<int>(Sys(__NR_epoll_create1, kOCloexec));
  if (l.poll < 0 || Watching(l, kSocket, Watch::client, 0) != 0) return 71;
  if (WatchEnds(l) != 0) return 71;
  return Loop(l);
}
