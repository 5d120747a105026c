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

}  // namespace

int MakeReport(Container& record, int* fd) {
  if (fd == nullptr) {
    record.report = static_cast<ChildReport*>(Map(sizeof(ChildReport), true));
  } else {
    long memfd = Memfd("ringfort-report");
    if (memfd < 0) return static_cast<int>(memfd);
    *fd = static_cast<int>(memfd);
    if (long error = Sys(__NR_ftruncate, memfd, sizeof(ChildReport)))
      return static_cast<int>(error);
    record.report = static_cast<ChildReport*>(MapShared(*fd, sizeof(ChildReport)));
  }
  if (record.report == nullptr) return -kEnomem;
  record.report->step = ~0u;
  return 0;
}

int CloneChild(Launcher& l, const Birth& birth) {
  const PlanHeader& header = birth.plan->header;
  Context& c = *birth.context;
  if (int error = MakeReport(*birth.record, nullptr)) return error;
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
    c.report = birth.record->report;
    c.planBytes = birth.bytes;
    c.planSize = birth.size;
    RunChild(c, birth.plan->section[static_cast<uint32_t>(Section::child)]);
  }
  if (exposed && Insist(0, __NR_prctl, kPrSetDumpable) != 0) Exit(70);
  if (pid < 0) return static_cast<int>(pid);
  birth.record->pid = static_cast<int>(pid);
  birth.record->pidfd = pidfd;
  return 0;
}

int AskInit(Launcher& l, const Container& parent, const Birth& birth) {
  const SectionView& section = birth.plan->section[static_cast<uint32_t>(Section::child)];
  int report = -1, memfd = -1;
  int error = MakeReport(*birth.record, &report);
  RequestHeader header{static_cast<uint32_t>(Request::exec), birth.record->number, section.steps,
                       section.size};
  Start start = {};
  start.intoCgroup = birth.plan->header.intoCgroup;
  Parcel parcel;
  const int first[kStartFds] = {birth.sync, report, l.home.proc};
  for (int fd : first) parcel.Add(fd);
  if (error == 0 && !AddSlots(parcel, start, *birth.context, birth.plan->header.slotCount))
    error = -kEinval;
  IoVec parts[3] = {{&header, sizeof header},
                    {&start, sizeof start},
                    {const_cast<uint8_t*>(section.at), section.size}};
  bool fits = sizeof start + section.size <= kInlinePlanBytes;
  if (error == 0 && !fits) {
    memfd = static_cast<int>(Memfd("ringfort-plan"));
    error = memfd < 0 ? memfd : 0;
    if (error == 0 && Write(memfd, section.at, section.size) != static_cast<long>(section.size))
      error = -kEnomem;
    if (error == 0 && !parcel.Add(memfd)) error = -kEinval;
  }
  if (error == 0) error = SendParcel(parent.control, parcel, parts, fits ? 3 : 2);
  if (report >= 0) Close(report);
  if (memfd >= 0) Close(memfd);
  return error;
}

void AskKill(const Container& parent, const Container& program) {
  RequestHeader header{static_cast<uint32_t>(Request::kill), program.number, 0, 0};
  constexpr long kFlags = kMsgNosignal | kMsgDontwait;
  Insist(kEpipe, __NR_sendto, parent.control, P(&header), sizeof header, kFlags);
}

}  // namespace ringfort
