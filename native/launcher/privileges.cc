// Steps that give privileges up. The raw calls act on this one thread, which is all there is.
#include "launcher/context.h"

namespace ringfort {

int Step_setgroups(Context& c, const Arg* a) {
  if (a[0].size % 4 != 0) return -kEinval;
  return static_cast<int>(Sys(__NR_setgroups, a[0].size / 4, P(a[0].text)));
}

int Step_setgid(Context& c, const Arg* a) {
  long id = static_cast<long>(a[0].number);
  return static_cast<int>(Sys(__NR_setresgid, id, id, id));
}

int Step_setuid(Context& c, const Arg* a) {
  long id = static_cast<long>(a[0].number);
  return static_cast<int>(Sys(__NR_setresuid, id, id, id));
}

int Step_setfsuid(Context& c, const Arg* a) {
  long id = static_cast<long>(a[0].number);
  Sys(__NR_setfsuid, id);
  // It never says that it failed; an id that does not exist only asks (setfsuid(2)).
  return Sys(__NR_setfsuid, -1) == id ? 0 : -kEperm;
}

int Step_setuidKeepCaps(Context& c, const Arg* a) {
  constexpr uint32_t kVersion3 = 0x20080522;
  CapHeader header{kVersion3, 0};
  CapData data[2];
  long error = Sys(__NR_capget, P(&header), P(data));
  if (error == 0) error = Sys(__NR_prctl, kPrSetKeepcaps, 1, 0, 0, 0);
  if (error == 0) error = Step_setuid(c, a);
  // Leaving uid 0 has emptied the effective set, and fsuid has followed (setresuid(2)).
  for (CapData& half : data) half.effective = half.permitted;
  if (error == 0) error = Sys(__NR_capset, P(&header), P(data));
  return error == 0 ? Step_setfsuid(c, a + 1) : static_cast<int>(error);
}

int Step_capBounding(Context& c, const Arg* a) {
  for (long cap = 0; cap < 64; cap++) {
    if ((a[0].number >> cap & 1) != 0) continue;
    long error = Sys(__NR_prctl, kPrCapbsetDrop, cap, 0, 0, 0);
    if (error == -kEinval) break;  // past the kernel's last capability
    if (error != 0) return static_cast<int>(error);
  }
  return 0;
}

int Step_capset(Context& c, const Arg* a) {
  constexpr uint32_t kVersion3 = 0x20080522;
  CapHeader header{kVersion3, 0};
  CapData data[2];
  for (int i = 0; i < 2; i++)
    data[i] = {static_cast<uint32_t>(a[0].number >> 32 * i),
               static_cast<uint32_t>(a[1].number >> 32 * i),
               static_cast<uint32_t>(a[2].number >> 32 * i)};
  return static_cast<int>(Sys(__NR_capset, P(&header), P(data)));
}

int Step_capAmbient(Context& c, const Arg* a) {
  for (long cap = 0; cap < 64; cap++) {
    if ((a[0].number >> cap & 1) == 0) continue;
    if (long error = Sys(__NR_prctl, kPrCapAmbient, kPrCapAmbientRaise, cap, 0, 0))
      return static_cast<int>(error);
  }
  return 0;
}

int Step_noNewPrivs(Context& c, const Arg* a) {
  return static_cast<int>(Sys(__NR_prctl, kPrSetNoNewPrivs, 1, 0, 0, 0));
}

int Step_landlockRuleset(Context& c, const Arg* a) {
  LandlockRuleset rules{a[1].number, a[2].number, a[3].number};
  // An older kernel refuses a longer structure whose tail is not zero, and takes a shorter one.
  long size = rules.scoped != 0 ? 24 : rules.handled_access_net != 0 ? 16 : 8;
  return Keep(c, a[0].number, Sys(nr::landlock_create_ruleset, P(&rules), size, 0));
}

int Step_landlockPath(Context& c, const Arg* a) {
  constexpr long kPathBeneath = 1;
  int fd = OpenAt2(kAtFdCwd, a[1].text, kOPath, kResolveNoMagiclinks);
  if (fd < 0) return fd == -kEnoent && a[3].number != 0 ? 0 : fd;
  LandlockPathBeneath rule{a[2].number, fd};
  long error = Sys(nr::landlock_add_rule, SlotFd(c, a[0].number), kPathBeneath, P(&rule), 0);
  Close(fd);
  return static_cast<int>(error);
}

int Step_landlockRestrict(Context& c, const Arg* a) {
  return static_cast<int>(Sys(nr::landlock_restrict_self, SlotFd(c, a[0].number), 0));
}

int Step_seccomp(Context& c, const Arg* a) {
  constexpr long kSetModeFilter = 1;
  if (a[1].size == 0 || a[1].size % 8 != 0 || a[1].size / 8 > 4096) return -kEinval;
  // Afterwards the guest's filter may forbid what waiting takes.
  if (int error = AwaitOthers(c)) return error;
  SockFprog program{static_cast<uint16_t>(a[1].size / 8), a[1].text};
  long result = Sys(__NR_seccomp, kSetModeFilter, static_cast<long>(a[0].number), P(&program));
  return static_cast<int>(result);
}

int Step_assert(Context& c, const Arg* a) {
  // Only read(2) from here on: the seccomp filter is in force.
  static char status[1 << 20];  // NGROUPS_MAX groups are up to 720 KiB
  int fd = SlotFd(c, a[0].number);
  size_t size = 0;
  for (;;) {
    long n = Read(fd, status + size, sizeof status - size);
    if (n < 0) return static_cast<int>(n);
    if (n == 0 || size + static_cast<size_t>(n) == sizeof status) break;
    size += static_cast<size_t>(n);
  }
  StringList lines(a[1]);
  uint32_t length;
  while (const char* line = lines.Next(&length)) {
    bool found = false;
    for (size_t at = 0; at + length < size && !found; at++)
      found = (at == 0 || status[at - 1] == '\n') && Equal(status + at, line, length) &&
              status[at + length] == '\n';
    if (!found) return -kEproto;
  }
  return 0;
}

}  // namespace ringfort
