// What happens to a container after its launch.
#include "launcher/container.h"
#include "launcher/stops.h"

namespace ringfort {
namespace {

// The child's end of the socket is closed: it has executed its program, or it is dead.
void Settle(Launcher& l, Container& c) {
  Unwatch(l, &c.sync);
  if (c.state != State::starting) return;
  if (c.report->error != 0 || c.report->executing == 0) {
    c.state = State::failed;
    c.failedSection = static_cast<uint32_t>(Section::child);
    c.failedStep = c.report->step;
    c.failedError = c.report->error;
    Kill(l, c);
    return;
  }
  c.state = State::running;
  ReportHeader report = NewReport(Report::running, c.id);
  report.pid = c.pid;
  Send(l.socket, report, nullptr, c.pidfd);
  StopAt(Stop::afterRunning);
}

}  // namespace

void OnSync(Launcher& l, Container& c) {
  for (;;) {
    char word;
    CmsgFd control;
    IoVec iov{&word, 1};
    MsgHeader message{nullptr, 0, &iov, 1, &control, sizeof control, 0};
    long n = Sys(__NR_recvmsg, c.sync, P(&message), kMsgDontwait | kMsgCmsgCloexec);
    if (n == -kEintr) continue;
    if (n == -kEagain) return;
    if (n <= 0) return Settle(l, c);
    if (message.controllen < sizeof(CmsgHeader) + sizeof(int)) continue;
    Send(l.socket, NewReport(Report::pty, c.id), nullptr, control.fd);
    Close(control.fd);
  }
}

void OnExit(Launcher& l, Container& c) {
  constexpr long kPPidfd = 3;
  SignalInfo info = {};
  RUsage usage = {};
  long error;
  do error = Sys(__NR_waitid, kPPidfd, c.pidfd, P(&info), kWexited | kWnohang | kWall, P(&usage));
  while (error == -kEintr);
  if (error != 0 || info.pid == 0) return;
  if (c.sync >= 0) OnSync(l, c);
  if (c.sync >= 0) Settle(l, c);
  constexpr int kCldExited = 1;
  int status = info.code == kCldExited ? info.status << 8 : info.status;
  if (c.report->mainEnded != 0) status = c.report->mainStatus;
  bool failed = c.state == State::failed;
  c.state = State::ended;
  ReportHeader report = NewReport(failed ? Report::failed : Report::exited, c.id);
  report.section = c.failedSection;
  report.step = c.failedStep;
  report.error = -c.failedError;
  report.status = status;
  report.oom = c.oom ? 1 : 0;
  report.userUs = static_cast<uint64_t>(usage.utime_sec * 1000000 + usage.utime_usec);
  report.systemUs = static_cast<uint64_t>(usage.stime_sec * 1000000 + usage.stime_usec);
  report.maxRssBytes = static_cast<uint64_t>(usage.maxrss) * 1024;
  Unwatch(l, &c.pidfd);
  Unwatch(l, &c.oomEvent);
  FinishTeardown(l, c, report);
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
  if (c.killed || c.pidfd < 0) return;
  c.killed = true;
  Signal(l, c, kSigkill);
  KillCgroups(l, c);
}

}  // namespace ringfort
