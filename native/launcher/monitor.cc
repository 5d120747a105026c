// A launcher that outlives Node: from `detach` on it is the monitor of one container, keeps its
// output and its exit, and serves whoever connects. It ends when the container is gone.
#include "launcher/container.h"
#include "launcher/stops.h"

namespace ringfort {
namespace {

// Reads of what a dead container has left in its pipes, which hold 1 MiB at most (pipe(7)).
constexpr int kDrainReads = 256;

uint32_t Bits(uint32_t word) {
  uint32_t count = 0;
  for (; word != 0; word &= word - 1) count++;
  return count;
}

int SetNonblocking(int fd) {
  constexpr long kGetfl = 3, kSetfl = 4;
  long flags = Sys(__NR_fcntl, fd, kGetfl);
  return static_cast<int>(flags < 0 ? flags : Sys(__NR_fcntl, fd, kSetfl, flags | kONonblock));
}

// Room for the exit, so that a full disk does not lose it.
void Reserve(int fd) {
  constexpr long kKeepSize = 1;
  Sys(__NR_fallocate, fd, kKeepSize, 0, sizeof(ReportHeader) + kMaxReportData);
}

// The descriptors of a detach in their order, see protocol.h.
void TakeFds(Monitor& m, const Received& request) {
  const int* fd = request.fds;
  const uint32_t streams = request.header.arg;
  m.listening = *fd++;
  m.log.dir = *fd++;
  m.exitFile = *fd++;
  m.lock = *fd++;
  m.feed = m.log.source[0] = m.log.source[1] = -1;
  if ((streams & DETACH_STDIN) != 0) m.feed = *fd++;
  if ((streams & DETACH_STDOUT) != 0) m.log.source[0] = *fd++;
  if ((streams & DETACH_STDERR) != 0) m.log.source[1] = *fd++;
  if ((streams & DETACH_PTY) != 0) m.feed = m.log.source[0] = *fd++;
}

bool WellFormed(const Received& request, Detach* detach) {
  const uint32_t streams = request.header.arg;
  const uint32_t three = DETACH_STDIN | DETACH_STDOUT | DETACH_STDERR;
  if ((streams & ~(three | DETACH_PTY)) != 0 || request.bodySize != sizeof *detach) return false;
  if ((streams & DETACH_PTY) != 0 && (streams & three) != 0) return false;
  if (request.fdCount != kDetachFds + Bits(streams)) return false;
  __builtin_memcpy(detach, request.body, sizeof *detach);
  return detach->maxFiles >= 1 && detach->maxFiles <= 100;
}

int WatchMonitor(Launcher& l) {
  const Monitor& m = l.monitor;
  for (uint32_t i = 0; i < 2; i++) {
    if (m.log.source[i] < 0) continue;
    if (int error = SetNonblocking(m.log.source[i])) return error;
    if (int error = Watching(l, m.log.source[i], Watch::output, i)) return error;
  }
  return Watching(l, m.listening, Watch::listening, 0);
}

// The descriptors are the request's to close. Node holds the same files, so that closing them does
// not end the watch.
void GiveUp(Launcher& l) {
  Monitor& m = l.monitor;
  StopWatching(l, m.listening);
  for (int fd : m.log.source)
    if (fd >= 0) StopWatching(l, fd);
  if (m.log.file >= 0) Close(m.log.file);
  m = Monitor{};
  m.listening = m.exitFile = m.lock = m.feed = -1;
  m.log.dir = m.log.file = m.log.source[0] = m.log.source[1] = -1;
}

// From here on the container is found: what is left of the way cannot fail.
int Announce(const Log& log) {
  return static_cast<int>(
      Sys(__NR_renameat2, log.dir, P("state.json.new"), log.dir, P("state.json"), 0));
}

}  // namespace

int Detached(Launcher& l, Received& request) {
  Detach detach;
  Monitor& m = l.monitor;
  if (m.detached || !WellFormed(request, &detach)) return -kEproto;
  Container* c = FindFor(l, l.clients[0], request.header.id);
  if (c == nullptr || c->parent != 0 || c->state != State::running) return -kEsrch;
  if (l.live != 1) return -kEproto;
  TakeFds(m, request);
  m.log.maxSize = detach.maxSize;
  m.log.maxFiles = detach.maxFiles;
  m.log.file = -1;
  m.container = c->number;
  bool logs = m.log.source[0] >= 0 || m.log.source[1] >= 0;
  int error = logs ? OpenLog(m.log) : 0;
  if (error == 0) error = WatchMonitor(l);
  if (error == 0 && c->deferred) error = WatchExit(l, *c);
  if (error == 0) {
    StopAt(Stop::detachTaken);
    error = Announce(m.log);
  }
  if (error != 0) {
    GiveUp(l);
    return error;
  }
  StopAt(Stop::detachAnnounced);
  Reserve(m.exitFile);
  request.fdCount = 0;
  m.detached = true;
  // From now on there is no Node that would end it.
  const uint64_t blocked = ~(uint64_t{1} << (kSigterm - 1));
  Sys(__NR_rt_sigprocmask, kSigSetmask, P(&blocked), 0, kSigsetSize);
  return 0;
}

void Hello(Launcher& l, Client& client, uint32_t id) {
  ReportHeader report = NewReport(Report::ready, id);
  report.section = static_cast<uint32_t>(Request::hello);
  const Container* c = FindFor(l, client, id);
  if (c != nullptr && c->state == State::running)
    report.pid = c->pid;
  else
    report.error = kEsrch;
  Reply(l, client, report);
}

void Feed(Launcher& l, Client& client, const RequestHeader& request) {
  ReportHeader report = NewReport(Report::ready, request.id);
  report.section = static_cast<uint32_t>(Request::feed);
  Monitor& m = l.monitor;
  bool terminal = m.feed >= 0 && m.feed == m.log.source[0];
  if (!m.detached || m.feed < 0) report.error = kEbadf;
  if (report.error == 0 && request.arg != 0 && !terminal) {
    Close(m.feed);
    m.feed = -1;
  }
  Reply(l, client, report, nullptr, report.error == 0 && request.arg == 0 ? m.feed : -1);
}

void KeepExit(Launcher& l, const Container& c, const ReportHeader& report, const void* data) {
  Monitor& m = l.monitor;
  if (!m.detached || c.number != m.container) return;
  for (uint32_t i = 0; i < 2; i++) {
    int reads = 0;
    while (m.log.source[i] >= 0 && reads++ < kDrainReads && PumpLog(m.log, i) > 0) continue;
    if (m.feed == m.log.source[i]) m.feed = -1;
    Unwatch(l, &m.log.source[i]);
  }
  StopAt(Stop::exitUnkept);
  // One call: whoever reads meanwhile sees that it is not complete.
  IoVec parts[2] = {{const_cast<ReportHeader*>(&report), sizeof report},
                    {const_cast<void*>(data), report.dataSize}};
  Insist(0, __NR_writev, m.exitFile, P(parts), 2);
  StopAt(Stop::exitKept);
}

}  // namespace ringfort
