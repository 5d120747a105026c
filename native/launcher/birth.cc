// How the process of a plan comes to be.
#include "launcher/container.h"
#include "launcher/inside.h"

namespace ringfort {
namespace {

constexpr uint32_t kMfdCloexec = 1, kMfdNoexecSeal = 8;

long Memfd(const char* name) {
  long fd = Sys(__NR_memfd_create, P(name), kMfdCloexec | kMfdNoexecSeal);
  // Kernels before 6.3 do not know the second flag.
  return fd == -kEinval ? Sys(__NR_memfd_create, P(name), kMfdCloexec) : fd;
}

// A section that travels in the message. As many as Node sends at once have to fit into the socket
// while the init does not read: a kernel may count the next power of two for each.
constexpr uint32_t kInlineSection = 7u << 10;

// A message to an init in the making: its descriptors in the order that inside.h gives.
struct Parcel {
  struct {
    CmsgHeader head;
    int fds[kMaxFds + 1];
  } control;
  uint32_t count = 0;

  bool Add(int fd) {
    if (count >= kMaxFds) return false;
    control.fds[count++] = fd;
    return true;
  }
};

bool AddSlots(Parcel& parcel, Start& start, const Context& c, uint32_t slots) {
  for (uint32_t i = 0; i < slots; i++) {
    if (c.slots[i] < 0) continue;
    start.slot[start.slotCount++] = i;
    if (!parcel.Add(c.slots[i])) return false;
  }
  return true;
}

int SendParcel(int socket, Parcel& parcel, IoVec* parts, uint64_t count) {
  parcel.control.head = {sizeof(CmsgHeader) + parcel.count * sizeof(int), kSolSocket, kScmRights};
  MsgHeader message{nullptr, 0, parts, count, &parcel.control, parcel.control.head.len, 0};
  // Never waits: an init that is frozen must not hold up everybody else.
  long n = Sys(__NR_sendmsg, socket, P(&message), kMsgNosignal | kMsgDontwait);
  return n < 0 ? static_cast<int>(n) : 0;
}

// From here on are the numbers of what a container that lives keeps (SetAside), so that a child
// gives all of it up at once, before it forks in turn.
constexpr int kLiving = 256;

void CloseLiving(const Context& c, uint32_t slots) {
  int last = c.sync > c.control ? c.sync : c.control;
  for (uint32_t i = 0; i < slots; i++)
    if (c.slots[i] > last) last = c.slots[i];
  for (uint32_t i = 0; i < kTargetCount && c.target != nullptr; i++)
    if (c.target[i] > last) last = c.target[i];
  if (last < kLiving) Sys(nr::close_range, kLiving, ~0u, 0);
}

// A report that an init is to write, and no child of ours.
int MakeSent(Container& record, int* fd) {
  long memfd = Memfd("ringfort-report");
  if (memfd < 0) return static_cast<int>(memfd);
  *fd = static_cast<int>(memfd);
  if (long error = Sys(__NR_ftruncate, memfd, sizeof(ChildReport))) return static_cast<int>(error);
  record.report = static_cast<ChildReport*>(MapShared(*fd, sizeof(ChildReport)));
  if (record.report == nullptr) return -kEnomem;
  KeepFromChildren(record.report, sizeof(ChildReport));
  record.report->step = ~0u;
  return 0;
}

}  // namespace

int MakeReport(Launcher& l, Container& record, SharedReport* shared) {
  if (record.inside) return MakeSent(record, &shared->fd);
  shared->at = ReportForChild(l, record);
  return shared->at == nullptr ? -kEnomem : 0;
}

void Forget(const SharedReport& shared) {
  if (shared.fd >= 0) Close(shared.fd);
  if (shared.at != nullptr) Unmap(shared.at, sizeof(ChildReport));
}

void SetAside(int* fd) {
  constexpr long kDupfdCloexec = 1030;
  if (*fd < 0) return;
  long aside = Sys(__NR_fcntl, *fd, kDupfdCloexec, kLiving);
  if (aside < 0) return;
  Close(*fd);
  *fd = static_cast<int>(aside);
}

int CloneChild(Launcher& l, const Birth& birth) {
  const PlanHeader& header = birth.plan->header;
  Context& c = *birth.context;
  CloneArgs args = {};
  int pidfd = -1;
  args.flags = header.cloneFlags | kClonePidfd;
  args.pidfd = static_cast<uint64_t>(P(&pidfd));
  args.exit_signal = kSigchld;
  if (header.intoCgroup != kSlotNone) {
    args.flags |= kCloneIntoCgroup;
    args.cgroup = static_cast<uint64_t>(SlotFd(c, header.intoCgroup));
  }
  // In its own user namespace the launcher may write a child's maps only while the child's proc
  // files belong to it, that is while it is dumpable; the plan makes it non-dumpable again. One
  // that joins a container needs no maps, and must not be seen.
  bool exposed = l.home.ownUser && birth.record->parent == 0;
  if (exposed) Sys(__NR_prctl, kPrSetDumpable, 1, 0, 0, 0);
  long pid = Sys(nr::clone3, P(&args), sizeof args);
  if (pid == 0) {
    for (int fd : birth.ours)
      if (fd >= 0) Close(fd);
    c.side = SIDE_C;
    c.sync = birth.sync;
    CloseLiving(c, header.slotCount);
    c.report = birth.report.at;
    c.planBytes = birth.bytes;
    c.planSize = birth.size;
    RunChild(c, birth.plan->section[static_cast<uint32_t>(Section::child)]);
  }
  if (exposed && Insist(0, __NR_prctl, kPrSetDumpable) != 0) Exit(70);
  if (pid < 0) return static_cast<int>(pid);
  birth.record->pid = static_cast<int>(pid);
  birth.record->pidfd = pidfd;
  SetAside(&birth.record->pidfd);
  return 0;
}

int AskInit(Launcher& l, const Container& parent, const Birth& birth) {
  const SectionView& section = birth.plan->section[static_cast<uint32_t>(Section::child)];
  int memfd = -1, error = 0;
  RequestHeader header{static_cast<uint32_t>(Request::exec), birth.record->number, section.steps,
                       section.size};
  Start start = {};
  start.intoCgroup = birth.plan->header.intoCgroup;
  Parcel parcel;
  const int first[kStartFds] = {birth.sync, birth.report.fd, l.home.proc};
  for (int fd : first) parcel.Add(fd);
  if (error == 0 && !AddSlots(parcel, start, *birth.context, birth.plan->header.slotCount))
    error = -kEinval;
  IoVec parts[3] = {{&header, sizeof header},
                    {&start, sizeof start},
                    {const_cast<uint8_t*>(section.at), section.size}};
  bool fits = sizeof start + section.size <= kInlineSection;
  if (error == 0 && !fits) {
    memfd = static_cast<int>(Memfd("ringfort-plan"));
    error = memfd < 0 ? memfd : 0;
    if (error == 0 && Write(memfd, section.at, section.size) != static_cast<long>(section.size))
      error = -kEnomem;
    if (error == 0 && !parcel.Add(memfd)) error = -kEinval;
  }
  if (error == 0) error = SendParcel(parent.control, parcel, parts, fits ? 3 : 2);
  if (memfd >= 0) Close(memfd);
  return error;
}

void AskKill(const Container& parent, const Container& program) {
  RequestHeader header{static_cast<uint32_t>(Request::kill), program.number, 0, 0};
  constexpr long kFlags = kMsgNosignal | kMsgDontwait;
  Insist(kEpipe, __NR_sendto, parent.control, P(&header), sizeof header, kFlags);
}

}  // namespace ringfort
