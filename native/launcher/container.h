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

// Pages that children report in, many in one mapping: a clone copies the list of mappings, and one
// for each container that lives would make every launch slower. None is used twice: what is left of
// an earlier child must not write into the report of a later one.
struct ReportPages {
  uint32_t used, live;
};

// A container, or a further program in one.
struct Container {
  State state;
  bool oom;
  bool killed;
  bool deferred;    // it may have ended, and that is for after the detach
  bool parks;       // a program that waits for a release, and
  bool parked;      // has said that it does
  bool traced;      // the plan asked for it
  bool unwatched;   // nothing will say when something comes of it: it must be looked at
  bool inside;      // a program that the container's init has started, and whose end it tells
  uint32_t number;  // the launcher's own, from 1
  uint32_t client;  // who started it, by serial
  uint32_t id;      // as that client calls it
  uint32_t parent;  // of a program: the container's number
  int pid, pidfd;
  int sync;  // our end of the child's socket; its end of file is exec or death
  int oomEvent;
  int control;               // socket to an init that starts programs, -1 without one
  int target[kTargetCount];  // its namespaces, kept where they cannot be opened later; else -1
  ChildReport* report;       // memory shared with the child, until the end
  ReportPages* pages;        // where that is one of them: for a child of ours
  uint32_t stamps;           // for the trace: steps of the plan,
  uint32_t teardownFrom;     // and those before its teardown
  uint8_t* teardown;         // private copy of the plan's last section
  uint32_t teardownSize, teardownSteps;
  uint32_t retries;
  int64_t retryAt;                     // ms, CLOCK_MONOTONIC
  uint32_t failedSection, failedStep;  // why the launch failed
  int failedError;
};

// Whoever may ask: Node, the first of them, and once it is detached those that have connected.
struct Client {
  int fd;           // -1: a free place
  uint32_t serial;  // 0 is Node
  uint8_t* queue;   // what it has not had room for yet
  uint32_t queued;  // bytes
};

// The output of a detached container's command, in files of bounded size.
struct Log {
  int dir, file;
  int source[2];  // stdout and stderr, or the terminal's master side first; -1 at their end
  uint64_t maxSize, size;
  uint32_t maxFiles, sequence;
  uint64_t lost;  // bytes dropped since the last record
};

// What makes a launcher the monitor of one container that outlives Node.
struct Monitor {
  bool detached;
  uint32_t container;  // its number
  int listening;
  int exitFile;
  int lock;
  int feed;  // what the command reads from: a pipe's write end or the terminal; -1 without
  Log log;
};

// Everything the event loop needs to reach.
struct Launcher {
  Client clients[kMaxClients];
  uint32_t nextSerial, nextNumber;
  Monitor monitor;
  int poll;
  Home home;
  bool homeMade;
  Container* table;  // grows by doubling; indexes stay
  uint32_t capacity;
  ReportPages* pages;  // for the next launches
  uint32_t live;
  int ended;     // signalfd: a child has
  bool orphans;  // there may be some
  bool stopping;
  int slots[kMaxSlots];  // of the launch in hand, -1 when empty
};

enum class Watch : uint32_t {
  client = 0,
  sync = 1,
  pidfd = 2,
  oom = 3,
  control = 4,
  listening = 5,
  output = 6,
  ended = 7,
};

Container* FindContainer(Launcher& l, uint32_t number);
// By a client's name for it. A detached container is everybody's.
Container* FindFor(Launcher& l, const Client& client, uint32_t id);
Container* NewContainer(Launcher& l);
void ForgetContainer(Launcher& l, Container& c);
// A page for the report of a child to come, mapped once more for the clone to inherit.
ChildReport* ReportForChild(Launcher& l, Container& c);
int Watching(Launcher& l, int fd, Watch kind, uint32_t index);
// Leaves it open.
void StopWatching(Launcher& l, int fd);
void Unwatch(Launcher& l, int* fd);
int64_t Now();
uint64_t NowNs();
// With `traced`: a phase is done.
void Mark(Container& c, Phase phase);

// clients.cc
// Answers a client; it is dropped when it reads nothing for too long.
void Reply(Launcher& l, Client& client, const ReportHeader& report, const void* data = nullptr,
           int fd = -1);
// Reports to whom it may concern: the client that started it; of a detached container, to all.
void Tell(Launcher& l, const Container& c, const ReportHeader& report, const void* data = nullptr,
          int fd = -1);
void AcceptClient(Launcher& l);
// Ends what the client has started with it.
void DropClient(Launcher& l, Client& client);
// Sends what it has had no room for.
void FlushClient(Launcher& l, Client& client);
bool AllHeard(const Launcher& l);
// monitor.cc: requests of type detach, hello and feed.
int Detached(Launcher& l, Received& request);
void Hello(Launcher& l, Client& client, uint32_t id);
void Feed(Launcher& l, Client& client, const RequestHeader& request);
// The detached container has ended: keeps its last report.
void KeepExit(Launcher& l, const Container& c, const ReportHeader& report, const void* data);
// log.cc
int OpenLog(Log& log);
// Takes one piece of output: 1, 0 when there is none just now, -1 at the end.
int PumpLog(Log& log, uint32_t source);

// launch.cc: requests of type launch and exec.
void Launch(Launcher& l, Client& client, Received& request);

// birth.cc: how the process of a plan comes to be.
// The memory that a process is to report in, as it gets it: mapped once more, for a clone of ours
// to inherit, or its descriptor, for an init.
struct SharedReport {
  ChildReport* at = nullptr;
  int fd = -1;
};
// Makes that of a container or program.
int MakeReport(Launcher& l, Container& record, SharedReport* shared);
void Forget(const SharedReport& shared);

struct Birth {
  const PlanView* plan;
  Container* record;
  Context* context;
  uint8_t* bytes;  // of the plan, and how many: forgotten by the init
  uint32_t size;
  int sync;     // the child's end
  int ours[2];  // not the child's: the end of the launcher is to be the end of these
  SharedReport report;
};
// Clones it: a container, or a program that joins one.
int CloneChild(Launcher& l, const Birth& birth);
// Gives a descriptor that lasts as long as a container a number out of the way, if there is room.
void SetAside(int* fd);
// Asks the container's init to fork it.
int AskInit(Launcher& l, const Container& parent, const Birth& birth);
// Asks the init to kill a program that it has forked.
void AskKill(const Container& parent, const Container& program);
// park.cc: requests of type release.
void Release(Launcher& l, Client& client, Received& request);
// events.cc
void OnSync(Launcher& l, Container& c);
// Of a program: its container has, which is why whatever has failed did (clone(2) into a pid
// namespace without an init is ENOMEM).
bool ParentEnded(Launcher& l, const Container& c);
// Begins to look for its end.
int WatchExit(Launcher& l, Container& c);
void OnExit(Launcher& l, Container& c);
// Reaps what we have not cloned: what became a child of ours when its parent died, or by
// CLONE_PARENT. True: there may be more at once.
bool ReapOrphans(Launcher& l);
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
