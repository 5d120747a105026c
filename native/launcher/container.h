// The launcher's record of one container, and what is done with it.
#pragma once
#include "launcher/messages.h"

namespace ringfort {

enum class State : uint8_t {
  unused,
  starting,  // cloned; has not executed its program yet
  running,
  failed,  // the launch failed; the process is still to be reaped
  ended,   // reaped; teardown steps are left over
};

// A container, or a further program in one.
struct Container {
  State state;
  bool oom;
  bool killed;
  bool inside;  // a program that the container's init has started, and whose end it tells
  uint32_t id;
  uint32_t parent;  // of a program: the container's id
  int pid, pidfd;
  int sync;  // our end of the child's socket; its end of file is exec or death
  int oomEvent;
  int control;               // socket to an init that starts programs, -1 without one
  int target[kTargetCount];  // its namespaces, kept where they cannot be opened later; else -1
  ChildReport* report;       // one shared page, until the end
  uint8_t* teardown;         // private copy of the plan's last section
  uint32_t teardownSize, teardownSteps;
  uint32_t retries;
  int64_t retryAt;                     // ms, CLOCK_MONOTONIC
  uint32_t failedSection, failedStep;  // why the launch failed
  int failedError;
};

// Everything the event loop needs to reach.
struct Launcher {
  int socket;
  int poll;
  Home home;
  bool homeMade;
  Container* table;  // grows by doubling; indexes stay
  uint32_t capacity;
  uint32_t live;
  bool stopping;
  int slots[kMaxSlots];  // of the launch in hand, -1 when empty
};

enum class Watch : uint32_t { socket = 0, sync = 1, pidfd = 2, oom = 3, control = 4 };

Container* FindContainer(Launcher& l, uint32_t id);
Container* NewContainer(Launcher& l);
void ForgetContainer(Launcher& l, Container& c);
int Watching(Launcher& l, int fd, Watch kind, uint32_t index);
void Unwatch(Launcher& l, int* fd);
int64_t Now();

// launch.cc: requests of type launch and exec.
void Launch(Launcher& l, Received& request);
// birth.cc: how the process of a plan comes to be.
struct Birth {
  const PlanView* plan;
  Container* record;
  Context* context;
  uint8_t* bytes;  // of the plan, and how many: forgotten by the init
  uint32_t size;
  int sync;     // the child's end
  int ours[2];  // not the child's: the end of the launcher is to be the end of these
};
// Clones it: a container, or a program that joins one.
int CloneChild(Launcher& l, const Birth& birth);
// Asks the container's init to fork it.
int AskInit(Launcher& l, const Container& parent, const Birth& birth);
// The shared page, and for an init to come its descriptor in *fd.
int MakeReport(Container& record, int* fd);
// events.cc
void OnSync(Launcher& l, Container& c);
void OnExit(Launcher& l, Container& c);
void OnOom(Launcher& l, Container& c);
void OnControl(Launcher& l, Container& c);
void Signal(Launcher& l, Container& c, int number);
void Kill(Launcher& l, Container& c);
// teardown.cc
// Runs the teardown for the first time, sends `report` with what its read steps found, and goes on
// to retry what is left.
void FinishTeardown(Launcher& l, Container& c, ReportHeader report);
// Tries again; forgets the container when nothing is left.
void RetryTeardown(Launcher& l, Container& c);
// Runs the teardown's kill steps (cgroup.kill) only.
void KillCgroups(Launcher& l, Container& c);

}  // namespace ringfort
