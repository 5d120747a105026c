// A container's init that starts programs on request. Whoever asks is the launcher; what is started
// is a fork of this process, which is inside already: nothing joins, and nothing of the host's
// comes along but the descriptors that were sent for it.
//
// It keeps the container root's capabilities, which its children need to become other users. No
// guest can use it: its memory belongs to the launcher's user namespace and is not dumpable, so not
// even CAP_SYS_PTRACE in the container reaches it (ptrace(2), PTRACE_MODE_ATTACH).
#include "launcher/inside.h"
#include "launcher/messages.h"
#include "launcher/stops.h"

namespace ringfort {
namespace {

constexpr int kControl = 3, kSignals = 4;
// Between two looks at who is left, once it is to end.
constexpr int64_t kStoppingNs = 5'000'000;

struct Job {
  int pid;
  uint32_t id;
};

struct Server {
  int signals;
  int mainPid;    // 0: none
  bool stopping;  // no main program, and asked to end: as soon as nothing is left
  Job* jobs;      // grows by doubling
  uint32_t capacity, count;
};

uint64_t Micros(int64_t sec, int64_t usec) { return static_cast<uint64_t>(sec * 1000000 + usec); }

bool Remember(Server& s, int pid, uint32_t id) {
  if (s.count == s.capacity) {
    uint32_t capacity = s.capacity == 0 ? 64 : s.capacity * 2;
    auto* jobs = static_cast<Job*>(Map(capacity * sizeof(Job), false));
    if (jobs == nullptr) return false;
    if (s.jobs != nullptr) {
      __builtin_memcpy(jobs, s.jobs, s.count * sizeof(Job));
      Unmap(s.jobs, s.capacity * sizeof(Job));
    }
    s.jobs = jobs;
    s.capacity = capacity;
  }
  s.jobs[s.count++] = Job{pid, id};
  return true;
}

void Tell(Server& s, int pid, int status, const RUsage& usage) {
  for (uint32_t i = 0; i < s.count; i++) {
    if (s.jobs[i].pid != pid) continue;
    Ended ended = {s.jobs[i].id, status, Micros(usage.utime_sec, usage.utime_usec),
                   Micros(usage.stime_sec, usage.stime_usec),
                   static_cast<uint64_t>(usage.maxrss) * 1024};
    s.jobs[i] = s.jobs[--s.count];
    IoVec iov{&ended, sizeof ended};
    MsgHeader message{nullptr, 0, &iov, 1, nullptr, 0, 0};
    StopAt(Stop::initReaped);
    // Who does not hear of it would wait for it.
    if (Insist(kEpipe, __NR_sendmsg, kControl, P(&message), kMsgNosignal) < 0) Exit(70);
    StopAt(Stop::initTold);
    return;
  }
}

// Programs that have joined are others' children: nobody tells of their end.
bool IsAlone() { return Sys(__NR_kill, -1, 0) == -kEsrch; }

void ReapAll(Context& c, Server& s) {
  for (;;) {
    int status;
    RUsage usage = {};
    long pid = Insist(kEchild, __NR_wait4, -1, P(&status), kWnohang | kWall, P(&usage));
    // Whoever cannot reap would not see an end either.
    if (pid < 0 && pid != -kEchild) Exit(70);
    if (pid < 0 && s.stopping && IsAlone()) Exit(0);
    if (pid <= 0) return;
    if (pid == s.mainPid) {
      c.report->mainStatus = status;
      c.report->mainEnded = 1;
      Exit(0);
    }
    Tell(s, static_cast<int>(pid), status, usage);
  }
}

void Forward(Context& c, Server& s, int number) {
  if (s.mainPid != 0) {
    Sys(__NR_kill, s.mainPid, number);
    return;
  }
  // As an init without a program of its own: everybody hears it, and SIGTERM ends the container.
  Sys(__NR_kill, -1, number);
  if (number == kSigterm) s.stopping = true;
}

void OnSignals(Context& c, Server& s) {
  constexpr int kSignalsAtOnce = 64;  // whoever floods us must not keep the launcher waiting
  struct {
    uint32_t number;
    int32_t error, code;
    uint32_t pid;
    uint8_t rest[112];
  } info;
  for (int i = 0; i < kSignalsAtOnce; i++) {
    if (Read(s.signals, &info, sizeof info) != sizeof info) return;
    // A guest may not have us signal whom it may not signal itself; a code below 0 can be forged.
    bool trusted = info.code >= 0 && static_cast<long>(info.pid) == Sys(__NR_getppid);
    if (info.number == kSigchld)
      ReapAll(c, s);
    else if (trusted)
      Forward(c, s, static_cast<int>(info.number));
  }
}

// The child of a Start: all that it was sent is in place.
[[noreturn]] void Begin(Context& c, const SectionView& section) {
  Close(kControl);
  RunChild(c, section);
}

// Where the section's bytes are: behind the message, or in the memfd that came last.
const uint8_t* SectionBytes(const Received& request, bool* mapped) {
  *mapped = false;
  if (request.bodySize == sizeof(Start) + request.header.size) return request.body + sizeof(Start);
  constexpr long kRead = 1, kPrivate = 2;
  long at =
      Sys(__NR_mmap, 0, request.header.size, kRead, kPrivate, request.fds[request.fdCount - 1], 0);
  *mapped = at > 0;
  return at > 0 ? reinterpret_cast<const uint8_t*>(at) : nullptr;
}

long Fork(Context& c, const Start& start, const SectionView& section, int* pidfd) {
  CloneArgs args = {};
  args.flags = kClonePidfd;
  args.pidfd = static_cast<uint64_t>(P(pidfd));
  args.exit_signal = kSigchld;
  if (start.intoCgroup != kSlotNone) {
    args.flags |= kCloneIntoCgroup;
    args.cgroup = static_cast<uint64_t>(SlotFd(c, start.intoCgroup));
  }
  long pid = Sys(nr::clone3, P(&args), sizeof args);
  if (pid == 0) Begin(c, section);
  return pid;
}

void StartOne(Server& s, const Context& own, Received& request, const Start& start) {
  StopAt(Stop::initAsked);
  // Given up meanwhile.
  if (!PeerLives(request.fds[0])) return;
  Context c = own;
  Home home = {};
  home.proc = request.fds[2];
  c.home = &home;
  c.side = SIDE_C;
  c.sync = request.fds[0];
  c.report = static_cast<ChildReport*>(MapShared(request.fds[1], sizeof(ChildReport)));
  if (c.report == nullptr) return;  // the launcher sees the end of the socket
  for (uint32_t i = 0; i < start.slotCount; i++)
    c.slots[start.slot[i]] = request.fds[kStartFds + i];
  bool mapped;
  const uint8_t* bytes = SectionBytes(request, &mapped);
  SectionView section{bytes, request.header.size, request.header.arg};
  int pidfd = -1;
  c.inits = 0;
  c.sent = 1;
  long pid = bytes == nullptr ? -kEnomem : Fork(c, start, section, &pidfd);
  if (pid > 0 && !Remember(s, static_cast<int>(pid), request.header.id)) {
    Sys(__NR_kill, pid, kSigkill);
    Close(pidfd);
    pid = -kEnomem;
  }
  if (pid > 0) {
    StopAt(Stop::initForked);
    if (int error = SendFd(c.sync, kWordPidfd, pidfd)) {
      c.report->error = error;
      Sys(__NR_kill, pid, kSigkill);
    }
    Close(pidfd);
    StopAt(Stop::initSent);
  } else {
    c.report->error = static_cast<int32_t>(pid);
  }
  Unmap(c.report, sizeof(ChildReport));
  if (mapped) Unmap(const_cast<uint8_t*>(bytes), request.header.size);
  for (uint32_t i = 0; i < start.slotCount; i++) c.slots[start.slot[i]] = -1;
}

// What is in the table has not been reaped, so its pid is nobody else's.
void KillJob(const Server& s, uint32_t id) {
  for (uint32_t i = 0; i < s.count; i++)
    if (s.jobs[i].id == id) Sys(__NR_kill, s.jobs[i].pid, kSigkill);
}

void OnControl(Server& s, const Context& c) {
  Received request;
  int result = Receive(kControl, &request);
  // The end of the launcher is the end of the container.
  if (result == 0) Exit(70);
  if (result < 0) return;
  if (request.header.type == static_cast<uint32_t>(Request::kill)) KillJob(s, request.header.id);
  Start start;
  // Without all that it needs it is not started; the end of its socket says so.
  if (!request.fdsLost && request.bodySize >= sizeof start) {
    __builtin_memcpy(&start, request.body, sizeof start);
    if (request.fdCount >= kStartFds + start.slotCount) StartOne(s, c, request, start);
    Wipe(request.body, request.bodySize);
  }
  CloseFds(&request);
}

// Leaves descriptors 0 to 2 (the launcher's /dev/null), so that none that is sent becomes one of
// them, the control socket and the signals. The end of the socket to the launcher is among what it
// closes, and comes last: from then on the init serves.
int KeepOnly(int control, int signals) {
  long error = Sys(__NR_dup3, control, kControl, kOCloexec);
  if (error >= 0) error = Sys(__NR_dup3, signals, kSignals, kOCloexec);
  if (error >= 0) error = Sys(nr::close_range, kSignals + 1, ~0u, 0);
  return error < 0 ? static_cast<int>(error) : 0;
}

int Settle(Context& c, Server& s) {
  uint64_t all = ~uint64_t{0};
  // PR_SET_PDEATHSIG is safe here: the launcher has one thread, and this process keeps its uid.
  if (long error = Sys(__NR_prctl, kPrSetPdeathsig, kSigkill)) return static_cast<int>(error);
  if (!PeerLives(c.control)) return -kEpipe;
  if (long error = Sys(__NR_rt_sigprocmask, kSigSetmask, P(&all), 0, kSigsetSize))
    return static_cast<int>(error);
  long signals = Sys(__NR_signalfd4, -1, P(&all), kSigsetSize, kOCloexec | kONonblock);
  if (signals < 0) return static_cast<int>(signals);
  if (s.mainPid == 0) c.report->executing = 1;
  int error = KeepOnly(c.control, static_cast<int>(signals));
  if (error != 0 && s.mainPid == 0) c.report->executing = 0;
  return error;
}

}  // namespace

int RunServe(Context& c, int mainPid) {
  Sys(__NR_prctl, kPrSetName, P("ringfort-init"));
  Server s = {};
  s.mainPid = mainPid;
  if (int error = Settle(c, s)) return error;
  Wipe(c.planBytes, c.planSize);
  // Only what has to be written: pages that are not are still the launcher's.
  for (uint32_t i = 0; i < kMaxSlots; i++)
    if (c.slots[i] >= 0) c.slots[i] = -1;
  CountUp(c.report->initReady);
  s.signals = kSignals;
  PollFd polled[2] = {{kControl, kPollin, 0}, {s.signals, kPollin, 0}};
  for (;;) {
    TimeSpec pause = {0, kStoppingNs};
    long n = Insist(0, __NR_ppoll, P(polled), 2, s.stopping ? P(&pause) : 0, 0, kSigsetSize);
    if (n == 0) ReapAll(c, s);
    // Such as when RLIMIT_NOFILE was taken from us: better no container than one that does not
    // answer.
    if (n < 0) Exit(70);
    if (n == 0) continue;
    if (polled[1].revents != 0) OnSignals(c, s);
    if (polled[0].revents != 0) OnControl(s, c);
  }
}

int Step_serve(Context& c, const Arg* a) { return c.control < 0 ? -kEproto : RunServe(c, 0); }

}  // namespace ringfort
