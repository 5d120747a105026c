// Steps on namespaces.
#include "launcher/inside.h"

namespace ringfort {
namespace {

struct Joinable {
  uint64_t type;
  const char* file;  // below proc
};
// What prepare may join, in the order of Home::self.
constexpr Joinable kJoinable[kJoinables] = {
    {kCloneNewnet, "self/ns/net"},       {kCloneNewipc, "self/ns/ipc"},
    {kCloneNewuts, "self/ns/uts"},       {kCloneNewpid, "self/ns/pid"},
    {kCloneNewcgroup, "self/ns/cgroup"}, {kCloneNewtime, "self/ns/time"},
};

}  // namespace

// `self` stands for the container's first process (ProcPath).
const char* const kTargets[kTargetCount] = {
    "self/ns/user", "self/ns/mnt", "self/ns/pid",    "self/ns/net",
    "self/ns/ipc",  "self/ns/uts", "self/ns/cgroup", "self/ns/time",
};

int OpenOwnNamespaces(Home* home) {
  for (int i = 0; i < kJoinables; i++) {
    home->self[i] = OpenAt2(home->proc, kJoinable[i].file, kOReadOnly, 0);
    bool mayLack = kJoinable[i].type == kCloneNewtime;  // CONFIG_TIME_NS
    if (home->self[i] < 0 && !mayLack) return home->self[i];
  }
  return 0;
}

int Step_wait(Context& c, const Arg* a) {
  char go;
  long n = Read(c.sync, &go, 1);
  if (n == 1) return 0;
  return n < 0 ? static_cast<int>(n) : -kEpipe;
}

int Step_hold(Context& c, const Arg* a) {
  long n = Sys(__NR_sendto, c.sync, P(&kWordHeld), 1, kMsgNosignal);
  if (n < 0) return static_cast<int>(n);
  char go;
  n = Read(SlotFd(c, a[0].number), &go, 1);
  if (n == 1) return 0;
  return n < 0 ? static_cast<int>(n) : -kEpipe;
}

int Step_setns(Context& c, const Arg* a) {
  long error = Sys(__NR_setns, SlotFd(c, a[0].number), static_cast<long>(a[1].number));
  if (error == 0 && c.side == SIDE_P) c.joined |= static_cast<uint32_t>(a[1].number);
  return static_cast<int>(error);
}

void ReturnFromJoins(Context& c) {
  for (int i = 0; i < kJoinables; i++) {
    const uint64_t type = kJoinable[i].type;
    if ((c.joined & type) == 0) continue;
    // Staying behind in a guest's namespace would taint every later launch.
    if (Insist(0, __NR_setns, c.home->self[i], static_cast<long>(type)) != 0) Exit(70);
  }
  if ((c.joined & kCloneNewns) != 0 || c.inHostMounts)
    if (Insist(0, __NR_setns, c.home->homeMounts, static_cast<long>(kCloneNewns)) != 0) Exit(70);
  c.joined = 0;
  c.inHostMounts = false;
}

int Step_unshare(Context& c, const Arg* a) {
  return static_cast<int>(Sys(__NR_unshare, static_cast<long>(a[0].number)));
}

int Step_sethostname(Context& c, const Arg* a) {
  return static_cast<int>(Sys(__NR_sethostname, P(a[0].text), a[0].size));
}

int Step_setdomainname(Context& c, const Arg* a) {
  return static_cast<int>(Sys(__NR_setdomainname, P(a[0].text), a[0].size));
}

int Step_linkUp(Context& c, const Arg* a) {
  // netdevice(7): struct ifreq is 40 bytes, the name in the first 16, the flags after it.
  constexpr long kAfInet = 2, kDatagram = 2, kGetFlags = 0x8913, kSetFlags = 0x8914;
  constexpr uint16_t kUp = 1;
  struct {
    char name[16];
    uint16_t flags;
    char rest[22];
  } request = {};
  if (a[0].size >= sizeof request.name) return -kEinval;
  __builtin_memcpy(request.name, a[0].text, a[0].size);
  long socket = Sys(__NR_socket, kAfInet, kDatagram | kOCloexec, 0);
  if (socket < 0) return static_cast<int>(socket);
  long error = Sys(__NR_ioctl, socket, kGetFlags, P(&request));
  request.flags |= kUp;
  if (error == 0) error = Sys(__NR_ioctl, socket, kSetFlags, P(&request));
  Close(static_cast<int>(socket));
  return static_cast<int>(error);
}

int Step_fork(Context& c, const Arg* a) {
  // Signals are held back first, so that none is lost before the init is ready to forward it.
  uint64_t all = ~uint64_t{0}, before;
  long error = Sys(__NR_rt_sigprocmask, kSigSetmask, P(&all), P(&before), kSigsetSize);
  if (error != 0) return static_cast<int>(error);
  CloneArgs args = {};
  args.exit_signal = kSigchld;
  c.report->initStep = c.report->step;
  long pid = Sys(nr::clone3, P(&args), sizeof args);
  if (pid > 0 && a[0].number == FORK_SERVE && c.control >= 0)
    FailInit(c, static_cast<int>(pid), RunServe(c, static_cast<int>(pid)));
  if (pid > 0) RunInit(c, static_cast<int>(pid), static_cast<ForkRole>(a[0].number), a[1].number);
  error = Sys(__NR_rt_sigprocmask, kSigSetmask, P(&before), 0, kSigsetSize);
  if (pid == 0) c.inits++;
  return static_cast<int>(pid < 0 ? pid : error);
}

int Step_watchOom(Context& c, const Arg* a) {
  // cgroup-v1/memory.rst section 9: an eventfd that is tied to memory.oom_control.
  if (c.oomEvent >= 0) return -kEexist;
  int dir = OpenBelow(c, a[0].number, a[1].text, kOPath | kODirectory, kResolveNoMagiclinks);
  if (dir < 0) return dir;
  int control = OpenAt2(dir, "memory.oom_control", kOReadOnly, kResolveBeneath);
  int registry = OpenAt2(dir, "cgroup.event_control", kOWriteOnly, kResolveBeneath);
  Close(dir);
  long event = Sys(__NR_eventfd2, 0, kOCloexec | kONonblock);
  long error = control < 0 ? control : registry < 0 ? registry : event < 0 ? event : 0;
  if (error == 0) {
    char line[32];
    size_t at = sizeof line;
    for (int fd = control; fd > 0; fd /= 10) line[--at] = static_cast<char>('0' + fd % 10);
    line[--at] = ' ';
    for (long fd = event; fd > 0; fd /= 10) line[--at] = static_cast<char>('0' + fd % 10);
    long n = Write(registry, line + at, sizeof line - at);
    error = n < 0 ? n : 0;
  }
  if (control >= 0) Close(control);
  if (registry >= 0) Close(registry);
  if (error == 0)
    c.oomEvent = static_cast<int>(event);
  else if (event >= 0)
    Close(static_cast<int>(event));
  return static_cast<int>(error);
}

}  // namespace ringfort
