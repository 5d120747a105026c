// What happens to a container after its launch.
#include "launcher/container.h"
#include "launcher/inside.h"
#include "launcher/stops.h"

namespace ringfort {
namespace {

uint64_t Micros(int64_t sec, int64_t usec) { return static_cast<uint64_t>(sec * 1000000 + usec); }

// The process has ended and been reaped, here or by its container's init.
void Conclude(Launcher& l, Container& c, const Ended& ended);

// The child's end of the socket is closed: it has executed its program, or it is dead.
void Settle(Launcher& l, Container& c) {
  Unwatch(l, &c.sync);
  if (c.state != State::starting) return;
  const ChildReport& said = *c.report;
  if (said.error != 0 || said.initError != 0 || said.executing == 0) {
    c.state = State::failed;
    c.failedSection = static_cast<uint32_t>(Section::child);
    c.failedStep = said.initError != 0 ? said.initStep : said.step;
    c.failedError = said.initError != 0 ? said.initError : said.error;
    if (ParentEnded(l, c)) {
      c.failedSection = static_cast<uint32_t>(Section::launcher);
      c.failedError = -kEsrch;
    }
    Kill(l, c);
    // The init could not even fork it, so there is no end to come.
    if (c.inside && c.pidfd < 0) Conclude(l, c, Ended{c.number, -1, 0, 0, 0});
    return;
  }
  c.state = State::running;
  Mark(c, PHASE_EXECUTED);
  ReportHeader report = NewReport(Report::running, c.id);
  report.pid = c.pid;
  Tell(l, c, report, nullptr, c.pidfd);
  StopAt(Stop::afterRunning);
}

// There was no room for its pidfd, without which it can be neither signalled nor waited for, to
// look at that, or for its terminal: it must not run.
void LoseDescriptor(Launcher& l, Container& c, int error) {
  Unwatch(l, &c.sync);
  c.state = State::failed;
  c.failedSection = static_cast<uint32_t>(Section::launcher);
  c.failedStep = 0;
  c.failedError = error;
  Kill(l, c);
  // Its end comes from the init, or with it.
  const Container* parent = c.inside && c.pidfd < 0 ? FindContainer(l, c.parent) : nullptr;
  if (parent != nullptr) AskKill(*parent, c);
}

void Conclude(Launcher& l, Container& c, const Ended& ended) {
  if (c.state == State::ended || c.state == State::unused) return;
  // What its socket says may be its end, and then this place is nobody's any more.
  if (c.sync >= 0) OnSync(l, c);
  if (c.sync >= 0) Settle(l, c);
  if (c.state == State::ended || c.state == State::unused) return;
  bool failed = c.state == State::failed;
  c.state = State::ended;
  Mark(c, PHASE_ENDED);
  ReportHeader report = NewReport(failed ? Report::failed : Report::exited, c.id);
  report.section = c.failedSection;
  report.step = c.failedStep;
  report.error = -c.failedError;
  report.status = c.report->mainEnded != 0 ? c.report->mainStatus : ended.status;
  report.oom = c.oom ? 1 : 0;
  report.userUs = ended.userUs;
  report.systemUs = ended.systemUs;
  report.maxRssBytes = ended.maxRssBytes;
  Unwatch(l, &c.pidfd);
  Unwatch(l, &c.oomEvent);
  Unwatch(l, &c.control);
  FinishTeardown(l, c, report);
}

// The kernel has ended a container's programs with its first process; an init can tell nothing
// more.
void EndPrograms(Launcher& l, uint32_t container) {
  for (uint32_t i = 0; i < l.capacity; i++) {
    Container& c = l.table[i];
    if (c.state == State::unused || c.parent != container) continue;
    // What a program had left behind is gone now, too: its cgroup need not wait any longer.
    c.retries = 0;
    c.retryAt = 0;
    if (c.inside) Conclude(l, c, Ended{c.number, kSigkill, 0, 0, 0});
  }
}

// Host pid of the process behind a pidfd (proc_pid_fdinfo(5)), 0 when it is gone, or -errno.
int PidOf(Launcher& l, int pidfd) {
  char path[32] = "self/fdinfo/", text[256];
  size_t at = Length(path);
  char digits[12];
  int count = 0;
  for (int n = pidfd; n > 0 || count == 0; n /= 10)
    digits[count++] = static_cast<char>('0' + n % 10);
  while (count > 0) path[at++] = digits[--count];
  int fd = OpenAt2(l.home.proc, path, kOReadOnly, 0);
  if (fd < 0) return fd;
  long n = Read(fd, text, sizeof text);
  Close(fd);
  constexpr char kField[] = "\nPid:\t";
  for (long i = 0; i + 6 < n; i++) {
    if (!Equal(text + i, kField, 6)) continue;
    int pid = 0;
    for (i += 6; i < n && text[i] >= '0' && text[i] <= '9'; i++) pid = pid * 10 + (text[i] - '0');
    return pid;
  }
  return 0;
}

// Whether it was cloned here, and is not reaped yet.
bool IsOurs(const Launcher& l, int pid) {
  for (uint32_t i = 0; i < l.capacity; i++) {
    const Container& c = l.table[i];
    bool reaped = c.state == State::unused || c.state == State::ended;
    if (!reaped && !c.inside && c.pid == pid) return true;
  }
  return false;
}

}  // namespace

bool ParentEnded(Launcher& l, const Container& c) {
  constexpr int16_t kReadable = 1;
  if (c.parent == 0) return false;
  const Container* parent = FindContainer(l, c.parent);
  if (parent == nullptr || parent->state != State::running) return true;
  PollFd init = {parent->pidfd, kReadable, 0};
  TimeSpec none = {0, 0};
  return Sys(__NR_ppoll, P(&init), 1, P(&none), 0, kSigsetSize) > 0;
}

void OnSync(Launcher& l, Container& c) {
  for (;;) {
    char word;
    CmsgFd control;
    IoVec iov{&word, 1};
    MsgHeader message{nullptr, 0, &iov, 1, &control, sizeof control, 0};
    long n = Insist(kEagain, __NR_recvmsg, c.sync, P(&message), kMsgDontwait | kMsgCmsgCloexec);
    if (n == -kEagain) return;
    if (n <= 0) return Settle(l, c);
    if (word == kWordHeld) {
      c.parked = c.parks;
      ReportHeader report = NewReport(Report::created, c.id);
      report.pid = c.pid;
      Tell(l, c, report);
      continue;
    }
    if (message.controllen < sizeof(CmsgHeader) + sizeof(int)) {
      bool needed = word == kWordPty || (word == kWordPidfd && c.inside);
      if (needed && c.state == State::starting) return LoseDescriptor(l, c, -kEmfile);
      continue;
    }
    if (word == kWordPidfd && c.inside && c.pidfd < 0) {
      c.pidfd = control.fd;
      StopAt(Stop::gotPidfd);
      if (c.killed) Signal(l, c, kSigkill);
      int pid = PidOf(l, c.pidfd);
      if (pid < 0 && c.state == State::starting) return LoseDescriptor(l, c, pid);
      c.pid = pid;
    } else {
      Tell(l, c, NewReport(Report::pty, c.id), nullptr, control.fd);
      Close(control.fd);
    }
    CountUp(c.report->taken);
  }
}

int WatchExit(Launcher& l, Container& c) {
  c.deferred = false;
  int error = Watching(l, c.pidfd, Watch::pidfd, static_cast<uint32_t>(&c - l.table));
  c.unwatched |= error != 0;
  return error;
}

void OnExit(Launcher& l, Container& c) {
  constexpr long kPPidfd = 3;
  SignalInfo info = {};
  RUsage usage = {};
  long error =
      Insist(0, __NR_waitid, kPPidfd, c.pidfd, P(&info), kWexited | kWnohang | kWall, P(&usage));
  if (error == 0 && info.pid == 0) {
    // Somebody traces it, and has not let go of it: its pidfd would say so again and again.
    if (!c.unwatched) StopWatching(l, c.pidfd);
    c.unwatched = true;
    return;
  }
  constexpr int kCldExited = 1;
  const int status = info.code == kCldExited ? info.status << 8 : info.status;
  Ended ended = {c.number, error == 0 ? status : -1, Micros(usage.utime_sec, usage.utime_usec),
                 Micros(usage.stime_sec, usage.stime_usec),
                 static_cast<uint64_t>(usage.maxrss) * 1024};
  if (c.parent != 0) StopAt(Stop::beforeConclude);
  if (c.control >= 0) OnControl(l, c);
  if (c.parent == 0) EndPrograms(l, c.number);
  Conclude(l, c, ended);
}

bool ReapOrphans(Launcher& l) {
  constexpr long kPAll = 0;
  // A guest that goes on making them must not keep everybody else waiting.
  constexpr int kAtOnce = 64;
  for (int i = 0; i < kAtOnce; i++) {
    SignalInfo info = {};
    constexpr long kLook = kWexited | kWnohang | kWnowait | kWall;
    long error = Sys(__NR_waitid, kPAll, 0, P(&info), kLook, 0);
    l.orphans = info.pid != 0 || (error != 0 && error != -kEchild);
    // Where it is ours, its pidfd tells; what is behind it in the kernel's list is seen when it has
    // gone.
    if (error != 0 || info.pid == 0 || IsOurs(l, info.pid)) return false;
    if (Sys(__NR_wait4, info.pid, 0, kWnohang | kWall, 0) <= 0) return false;
  }
  return true;
}

void OnControl(Launcher& l, Container& c) {
  for (;;) {
    Ended ended;
    IoVec iov{&ended, sizeof ended};
    MsgHeader message{nullptr, 0, &iov, 1, nullptr, 0, 0};
    long n = Insist(kEagain, __NR_recvmsg, c.control, P(&message), kMsgDontwait | kMsgCmsgCloexec);
    if (n == -kEagain) return;
    // The init is dead; its pidfd says the rest.
    if (n <= 0) return Unwatch(l, &c.control);
    if (n != sizeof ended) continue;
    Container* program = FindContainer(l, ended.id);
    if (program == nullptr || !program->inside || program->parent != c.number) continue;
    StopAt(Stop::beforeConclude);
    Conclude(l, *program, ended);
  }
}

void OnOom(Launcher& l, Container& c) {
  uint64_t count;
  // Nothing to read: the event was for the container that had this place in the table before.
  if (Read(c.oomEvent, &count, sizeof count) != sizeof count) return;
  // The kernel also signals when the cgroup is removed; then there is nobody left to kill.
  if (c.pidfd < 0) return;
  c.oom = true;
  Kill(l, c);
}

void Signal(Launcher& l, Container& c, int number) {
  if (c.pidfd < 0) return;
  Sys(nr::pidfd_send_signal, c.pidfd, number, 0, 0);
}

void Kill(Launcher& l, Container& c) {
  // Also without a pidfd: a program may be on its way from the init, or have left others behind.
  if (!c.killed) {
    c.killed = true;
    // What its init has not begun yet it does not begin (serve.cc).
    constexpr int kShutWr = 1;
    if (c.inside && c.sync >= 0) Sys(__NR_shutdown, c.sync, kShutWr);
    if (c.deferred) WatchExit(l, c);
    Signal(l, c, kSigkill);
  }
  // Each time: a pause under way may have frozen it again, and v1 holds killed tasks.
  KillCgroups(l, c);
}

}  // namespace ringfort
