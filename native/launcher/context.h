// What a step may use while it runs.
#pragma once
#include "launcher/reader.h"

namespace ringfort {

// One page shared by the launcher and one child (and its init): how the child says how far it got.
// Memory and not a pipe, so that a seccomp filter that forbids write(2) cannot silence a failure.
struct ChildReport {
  volatile uint32_t step;       // the step being carried out
  volatile int32_t error;       // why it failed
  volatile uint32_t executing;  // execve has been called
  volatile uint32_t initStep;   // the step that made the init
  volatile int32_t initError;   // why it could not become one
  volatile uint32_t initReady;  // so many inits stand
  volatile uint32_t taken;      // so many descriptors sent for it the launcher has taken
  volatile uint32_t mainEnded;  // init: the main program has ended, with
  volatile int32_t mainStatus;  // this wait status
  volatile uint32_t traced;     // the next two are written
  volatile uint32_t traceFrom;  // place in Trace::step of the child's first step
  Trace trace;
};

// The CPU's own clock: no system call, so no filter can forbid it.
inline uint64_t Ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  uint64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#endif
}

// Namespaces that a prepare section may join, and come back from.
constexpr int kJoinables = 6;

struct Journal;  // journal.h

// Descriptors the launcher opened at its start and keeps.
struct Home {
  int host;              // the host's root directory
  int proc;              // its own view of proc
  int hostMounts;        // mount namespace that prepare steps act in
  int homeMounts;        // mount namespace that children are born in
  int self[kJoinables];  // its own namespaces, to come back after a join (namespaces.cc)
  bool ownUser;          // it lives in a user namespace of its own (ordinary user)
  Journal* journal;      // nullptr: none
};

// Namespaces of a container that a program joins, in the order of kSlotTarget.
extern const char* const kTargets[kTargetCount];

struct Context {
  const Home* home;
  int* slots;         // kMaxSlots descriptors, -1 when empty
  const int* target;  // exec by joining: the container's namespaces, -1 when it has none
  uint32_t side;
  int pid;              // attend: the child
  int sync;             // child: the socket to the launcher
  int control;          // child: what its init will be asked by, -1 without
  int oomEvent;         // prepare: set by watchOom
  uint32_t joined;      // prepare: CLONE_NEW* bits of the namespaces that setns has entered
  bool inHostMounts;    // prepare: setns to the host's mount namespace has happened
  bool journalFailed;   // prepare: the step that failed could not be noted
  ChildReport* report;  // child
  uint64_t* stamps;     // of this section's steps, nullptr: not traced
  uint32_t stampRoom;
  uint32_t inits;  // child: the inits that it has left behind, which must stand, and
  uint32_t sent;  // the descriptors (pidfd, terminal) that the launcher must have, before it begins
  void* planBytes;  // child: forgotten by init
  uint32_t planSize;
  const char** argv;  // child: built before the first step
  const char** envp;
};

inline int SlotFd(const Context& c, uint64_t slot) {
  switch (slot) {
    case kSlotHost: return c.home->host;
    case kSlotProc: return c.home->proc;
    // By cwd, which clone moves into the child's copy of the mount namespace; a descriptor of the
    // launcher's own mount would be foreign there.
    case kSlotHome: return kAtFdCwd;
    case kSlotNone: return -1;
    default: break;
  }
  if (slot >= kSlotTarget && slot < kSlotTarget + kTargetCount)
    return c.target == nullptr ? -1 : c.target[slot - kSlotTarget];
  return c.slots[slot];
}

// Puts a new descriptor into its slot.
inline int Keep(const Context& c, uint64_t slot, long fd) {
  if (fd < 0) return static_cast<int>(fd);
  c.slots[slot] = static_cast<int>(fd);
  return 0;
}

// A path below a slot. Host paths are resolved from the host's root wherever the launcher is.
inline int OpenBelow(const Context& c, uint64_t slot, const char* path, uint64_t flags,
                     uint64_t resolve, uint64_t mode = 0) {
  if (slot == kSlotHost) resolve |= kResolveInRoot;
  if (slot == kSlotNone) return -kEbadf;
  return OpenAt2(SlotFd(c, slot), path, flags, resolve, mode);
}

// files.cc, mounts.cc, namespaces.cc, process.cc, privileges.cc, devices.cc: one function a step.
#define STEP(name, signature, sides, needs, raises) int Step_##name(Context& c, const Arg* a);
#include "steps.def"
#undef STEP

// execute.cc
int RunStep(Context& c, const StepView& step);
// Runs a section; on failure `failed` is the index of the step.
int RunSection(Context& c, const SectionView& section, uint32_t* failed);
// The pointers execve wants, from the section's exec, made before any filter could forbid the
// memory for them: in c.argv, where there is room for so many, or 0: in memory of their own.
int FillVectors(Context& c, const SectionView& section, uint64_t room);
// park.cc: for a section that ends in `park` and will be told its exec later.
int ReserveVectors(Context& c);
// Has the steps of a section stamped, beginning with this place in the trace.
void StampFrom(Context& c, Trace& trace, uint32_t from);
// files.cc: a path below proc; `self/x` means the child when the launcher uses it.
int ProcPath(const Context& c, const char* file, char* path, size_t room);
// namespaces.cc: undoes the joins of a prepare section; fills Home::self, which that needs.
void ReturnFromJoins(Context& c);
int OpenOwnNamespaces(Home* home);
// mounts.cc: prepare steps that clone host mounts must be in the host's mount namespace.
int EnterHostMounts(Context& c);
// mounts.cc: pivot_root into a mount, and away with the old root.
int PivotInto(int root);
// messages.cc: forgets a plan, and gives the memory that messages are received in back.
void Wipe(void* at, size_t size);
// init.cc
// The main program must not begin: there is no init.
[[noreturn]] void FailInit(Context& c, int mainPid, int error);
[[noreturn]] void RunInit(Context& c, int mainPid, ForkRole role, uint64_t keepCaps);
// process.cc: counts a word of a report up; whoever waits for it goes on.
void CountUp(volatile uint32_t& word);
// Waits until the program may begin: its init stands, and the launcher has what it needs to signal
// it. Not 0: one of them will never be. With system calls, so a filter is to come later.
int AwaitOthers(Context& c);
// serve.cc: the same, and starts programs; mainPid 0: there is none. Returns only when it fails.
int RunServe(Context& c, int mainPid);
// execute.cc: carries out a child section; does not return when it ends in a program.
[[noreturn]] void RunChild(Context& c, const SectionView& child);

}  // namespace ringfort
