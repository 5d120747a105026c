// The container's pid 1: reaps orphans, forwards signals, ends with the main program.
#include "launcher/inside.h"
#include "launcher/stops.h"

namespace ringfort {
namespace {

int DropTo(uint64_t keepCaps) {
  const Arg caps[3] = {{keepCaps, nullptr, 0}, {keepCaps, nullptr, 0}, {0, nullptr, 0}};
  Context unused = {};
  if (int error = Step_noNewPrivs(unused, caps)) return error;
  return Step_capset(unused, caps);
}

[[noreturn]] void End(Context& c, int status) {
  if (c.report->mainEnded == 0) {
    c.report->mainStatus = status;
    c.report->mainEnded = 1;
  }
  // The kernel ends everything else in this pid namespace with us.
  Exit(0);
}

void Reap(Context& c, int mainPid) {
  for (;;) {
    int status;
    long pid = Insist(kEchild, __NR_wait4, -1, P(&status), kWnohang | kWall, 0);
    // Whoever cannot reap would not see the end either.
    if (pid < 0 && pid != -kEchild) Exit(70);
    if (pid <= 0) return;
    if (pid == mainPid) End(c, status);
  }
}

}  // namespace

void FailInit(Context& c, int mainPid, int error) {
  c.report->initError = error;
  // The end of a first process would be that of the other, too; that of one that has joined is not.
  Sys(__NR_kill, mainPid, kSigkill);
  Exit(70);
}

void RunInit(Context& c, int mainPid, ForkRole role, uint64_t keepCaps) {
  Sys(__NR_prctl, kPrSetName, P(role == FORK_INIT ? "ringfort-init" : "ringfort-join"));
  // The plan may hold secrets (the environment); nothing of it is needed here any more.
  Wipe(c.planBytes, c.planSize);
  StopAt(Stop::init);
  // PR_SET_PDEATHSIG is safe here: the launcher has one thread, and this process keeps its uid.
  long error = Sys(__NR_prctl, kPrSetPdeathsig, kSigkill);
  if (error == 0 && !PeerLives(c.sync)) error = -kEpipe;
  if (error == 0) error = DropTo(keepCaps);
  if (error == 0) error = Sys(nr::close_range, 0, ~0u, 0);
  if (error != 0) FailInit(c, mainPid, static_cast<int>(error));
  CountUp(c.report->initReady);
  const uint64_t all = ~uint64_t{0};
  for (;;) {
    SignalInfo info;
    long number = Insist(0, __NR_rt_sigtimedwait, P(&all), P(&info), 0, kSigsetSize);
    if (number < 0) FailInit(c, mainPid, static_cast<int>(number));
    if (number == kSigchld)
      Reap(c, mainPid);
    else if (number > 0)
      Sys(__NR_kill, mainPid, number);
  }
}

}  // namespace ringfort
