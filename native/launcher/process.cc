// Steps on the process: session, limits, stdio, working directory, exec.
#include "launcher/inside.h"

namespace ringfort {
namespace {

int AwaitCount(const Context& c, const volatile uint32_t& word, uint32_t count) {
  constexpr long kFutexWait = 0;
  for (uint32_t now = word; now < count; now = word) {
    TimeSpec pause = {0, 5000000}, none = {0, 0};
    Sys(__NR_futex, P(&word), kFutexWait, now, P(&pause));
    if (word >= count) break;
    // The launcher sees everybody's death, and lets go of the socket then, as at its own; what it
    // gives up it tells so, too.
    constexpr int16_t kPollrdhup = 0x2000;
    PollFd launcher = {c.sync, kPollrdhup, 0};
    if (Sys(__NR_ppoll, P(&launcher), 1, P(&none), 0, kSigsetSize) > 0) return -kEpipe;
  }
  return 0;
}

}  // namespace

int Step_setsid(Context& c, const Arg* a) {
  long id = Sys(__NR_setsid);
  return id < 0 ? static_cast<int>(id) : 0;
}

int Step_newKeyring(Context& c, const Arg* a) {
  constexpr long kJoinSessionKeyring = 1;
  long id = Sys(__NR_keyctl, kJoinSessionKeyring, 0);
  // A kernel without CONFIG_KEYS has no keyring to leak.
  return id < 0 && id != -kEnosys ? static_cast<int>(id) : 0;
}

int Step_prctl(Context& c, const Arg* a) {
  long result = Sys(__NR_prctl, static_cast<long>(a[0].number), static_cast<long>(a[1].number),
                    static_cast<long>(a[2].number), 0, 0);
  return result < 0 ? static_cast<int>(result) : 0;
}

int Step_rlimit(Context& c, const Arg* a) {
  RlimitPair limit{a[1].number, a[2].number};
  return static_cast<int>(Sys(__NR_prlimit64, 0, static_cast<long>(a[0].number), P(&limit), 0));
}

int Step_umask(Context& c, const Arg* a) {
  Sys(__NR_umask, static_cast<long>(a[0].number));
  return 0;
}

int Step_stdio(Context& c, const Arg* a) {
  // Slots are above 2, because the launcher keeps 0 to 2 on /dev/null.
  for (int i = 0; i < 3; i++) {
    int fd = SlotFd(c, a[i].number);
    if (fd < 0) continue;
    long error = Sys(__NR_dup3, fd, i, 0);
    if (error < 0) return static_cast<int>(error);
  }
  return 0;
}

int Step_pty(Context& c, const Arg* a) {
  // ioctl_tty(2): TIOCGPTPEER opens the other side without going through a path a guest could swap.
  constexpr long kUnlock = 0x40045431, kPeer = 0x5441, kSetSize = 0x5414, kControlling = 0x540E;
  constexpr uint32_t kNoctty = 0400;
  int master = OpenBelow(c, a[0].number, "ptmx", kOReadWrite | kNoctty, kResolveBeneath);
  if (master < 0) return master;
  int zero = 0;
  uint16_t size[4] = {static_cast<uint16_t>(a[1].number), static_cast<uint16_t>(a[2].number), 0, 0};
  long error = Sys(__NR_ioctl, master, kUnlock, P(&zero));
  if (error == 0) error = Sys(__NR_ioctl, master, kSetSize, P(size));
  constexpr long kPeerFlags = kOReadWrite | kNoctty | kOCloexec;
  long peer = error != 0 ? error : Sys(__NR_ioctl, master, kPeer, kPeerFlags);
  if (peer >= 0) {
    error = SendFd(c.sync, kWordPty, master);
    c.sent++;
    for (int i = 0; i < 3 && error >= 0; i++) error = Sys(__NR_dup3, peer, i, 0);
    if (error >= 0) error = Sys(__NR_ioctl, 0, kControlling, 0);
    Close(static_cast<int>(peer));
  } else {
    error = peer;
  }
  Close(master);
  return error < 0 ? static_cast<int>(error) : 0;
}

int Step_chdir(Context& c, const Arg* a) {
  if (long error = Sys(__NR_chdir, P(a[0].text))) return static_cast<int>(error);
  // A directory outside the root answers "(unreachable)/…" (getcwd(3), NOTES).
  char path[4096];
  long length = Sys(__NR_getcwd, P(path), sizeof path);
  if (length < 0) return static_cast<int>(length);
  return path[0] == '/' ? 0 : -kEnoent;
}

// Closed at once, not marked alone: execve follows a guest's link to /proc/self/fd/N while N is
// open.
int Step_closeAll(Context& c, const Arg* a) {
  constexpr long kCloseRangeCloexec = 4, kFirst = 3;
  const long kept[] = {c.sync, SlotFd(c, a[0].number), SlotFd(c, a[1].number)};
  for (long from = kFirst;;) {
    // The lowest of them that is not behind us.
    long next = -1;
    for (long fd : kept)
      if (fd >= from && (next < 0 || fd < next)) next = fd;
    if (next < 0) return static_cast<int>(Sys(nr::close_range, from, ~0u, 0));
    long error = from < next ? Sys(nr::close_range, from, next - 1, 0) : 0;
    if (error == 0) error = Sys(nr::close_range, next, next, kCloseRangeCloexec);
    if (error < 0) return static_cast<int>(error);
    from = next + 1;
  }
}

// futex(2), not private: the two do not share their memory, only this page.
void CountUp(volatile uint32_t& word) {
  constexpr long kFutexWake = 1;
  // There may be two inits.
  __atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
  // If it fails, the waiting one looks again by itself.
  Sys(__NR_futex, P(&word), kFutexWake, 1);
}

int AwaitOthers(Context& c) {
  if (int error = AwaitCount(c, c.report->initReady, c.inits)) return error;
  return AwaitCount(c, c.report->taken, c.sent);
}

int Step_exec(Context& c, const Arg* a) {
  // execvp(3): go on past what is not there, remember what may not be executed.
  StringList candidates(a[0]);
  bool forbidden = false;
  if (int failed = AwaitOthers(c)) return failed;
  long error = -kEnoent;
  c.report->executing = 1;
  while (const char* path = candidates.Next()) {
    error = Sys(__NR_execve, P(path), P(c.argv), P(c.envp));
    if (error == -kEacces)
      forbidden = true;
    else if (error != -kEnoent && error != -kEnotdir)
      break;
  }
  c.report->executing = 0;
  if (forbidden && (error == -kEnoent || error == -kEnotdir)) error = -kEacces;
  return static_cast<int>(error);
}

}  // namespace ringfort
