// One launch, in the order it happens: plan, prepare, clone, attend, go.
#include "launcher/container.h"
#include "launcher/journal.h"
#include "launcher/stops.h"

namespace ringfort {
namespace {

struct Bytes {
  uint8_t* at;
  uint32_t size;
  bool mapped;
};

// A plan that is too large for a datagram comes in a sealed memfd, the first descriptor.
int MapPlan(Received& request, Bytes* plan) {
  constexpr long kGetSeals = 1034, kSeals = 2 | 4 | 8;  // shrink, grow, write
  constexpr long kReadWrite = 3, kPrivate = 2;
  if (request.fdCount == 0 || request.header.size == 0 || request.header.size > kMaxPlanBytes)
    return -kEproto;
  int memfd = request.fds[0];
  long seals = Sys(__NR_fcntl, memfd, kGetSeals, 0);
  StatX st;
  constexpr long kStatxSize = 0x200;
  long error = Sys(__NR_statx, memfd, P(""), kAtEmptyPath, kStatxSize, P(&st));
  if (seals < 0 || (seals & kSeals) != kSeals || error != 0 || st.size < request.header.size)
    return -kEproto;
  // Private and writable, so that init can wipe its copy.
  long at = Sys(__NR_mmap, 0, request.header.size, kReadWrite, kPrivate, memfd, 0);
  if (at < 0 && at > -4096) return static_cast<int>(at);
  Close(memfd);
  request.fdCount--;
  for (uint32_t i = 0; i < request.fdCount; i++) request.fds[i] = request.fds[i + 1];
  *plan = Bytes{reinterpret_cast<uint8_t*>(at), request.header.size, true};
  return 0;
}

int TakePlan(Received& request, Bytes* plan) {
  if (request.bodySize == 0) return MapPlan(request, plan);
  if (request.bodySize != request.header.size) return -kEproto;
  *plan = Bytes{request.body, request.bodySize, false};
  return 0;
}

void CloseSlots(Launcher& l) {
  for (int& fd : l.slots) {
    if (fd >= 0) Close(fd);
    fd = -1;
  }
}

int KeepTeardown(Container& record, const PlanView& plan) {
  const SectionView& section = plan.section[static_cast<uint32_t>(Section::teardown)];
  record.teardownSteps = 0;
  if (section.size == 0) return 0;
  record.teardown = static_cast<uint8_t*>(Map(section.size, false));
  if (record.teardown == nullptr) return -kEnomem;
  record.teardownSteps = section.steps;
  KeepFromChildren(record.teardown, section.size);
  __builtin_memcpy(record.teardown, section.at, section.size);
  record.teardownSize = section.size;
  return 0;
}

bool Within(const Arg& path, const Arg& dir) {
  return path.size >= dir.size && Equal(path.text, dir.text, dir.size) &&
         (path.size == dir.size || path.text[dir.size] == '/');
}

// Whether one of the first `count` prepare steps has made the directory that `path` lies in.
bool MadeHere(const SectionView& prepare, uint32_t count, const Arg& path) {
  uint32_t offset = 0;
  StepView step;
  for (uint32_t i = 0; i < count; i++) {
    if (!DecodeStep(prepare.at + offset, prepare.size - offset, &step)) return false;
    offset += step.size;
    if (step.op == Op::mkdir && Within(path, step.arg[1])) return true;
  }
  return false;
}

// After a failed prepare: what was not made here may be another container's and stays.
void NarrowTeardown(Container& record, const SectionView& prepare) {
  uint32_t from = 0, to = 0, kept = 0;
  for (uint32_t i = 0; i < record.teardownSteps; i++) {
    StepView step;
    if (!DecodeStep(record.teardown + from, record.teardownSize - from, &step)) break;
    if (MadeHere(prepare, record.failedStep, step.arg[1])) {
      __builtin_memmove(record.teardown + to, record.teardown + from, step.size);
      to += step.size;
      kept++;
    }
    from += step.size;
  }
  record.teardownSteps = kept;
}

int Attend(Launcher& l, Container& record, const PlanView& plan) {
  Context c = {};
  c.home = &l.home;
  c.slots = l.slots;
  c.side = SIDE_A;
  c.pid = record.pid;
  c.oomEvent = -1;
  record.failedSection = static_cast<uint32_t>(Section::attend);
  Mark(record, PHASE_CLONED);
  if (record.traced) StampFrom(c, record.report->trace, plan.header.stepCount[0]);
  int error = RunSection(c, plan.section[1], &record.failedStep);
  Mark(record, PHASE_ATTENDED);
  StopAt(Stop::beforeGo);
  // A child that is dead already does not hear it; the end of its socket says why. One that joins a
  // container does not wait.
  if (error != 0 || record.parent != 0) return error;
  long n = Insist(kEpipe, __NR_sendto, record.sync, P("g"), 1, kMsgNosignal);
  // It is dead, as its socket will say.
  if (n == -kEpipe) Signal(l, record, kSigkill);
  if (n >= 0 || n == -kEpipe) return 0;
  record.failedSection = static_cast<uint32_t>(Section::launcher);
  return static_cast<int>(n);
}

int Prepare(Launcher& l, Container& record, Context& c, const PlanView& plan) {
  record.failedSection = static_cast<uint32_t>(Section::prepare);
  int error = RunSection(c, plan.section[0], &record.failedStep);
  record.oomEvent = c.oomEvent;
  if (c.journalFailed) record.failedSection = static_cast<uint32_t>(Section::journal);
  if (error == 0 && (c.joined & kCloneNewns) == 0 && c.inHostMounts) {
    error = static_cast<int>(Sys(__NR_setns, l.home.homeMounts, static_cast<long>(kCloneNewns)));
    c.inHostMounts = error != 0;
  }
  return error;
}

int Socketpair(int* pair) {
  constexpr long kUnix = 1, kSeqpacket = 5;
  return static_cast<int>(Sys(__NR_socketpair, kUnix, kSeqpacket | kOCloexec, 0, P(pair)));
}

// The process of the plan, up to its first instruction.
int Bear(Launcher& l, Container& record, Context& c, const Bytes& bytes, const PlanView& plan,
         const SharedReport& report) {
  record.failedSection = static_cast<uint32_t>(Section::launcher);
  int sync[2] = {-1, -1}, control[2] = {-1, -1};
  int error = Socketpair(sync);
  if (error == 0 && (plan.header.flags & PLAN_SERVE) != 0) error = Socketpair(control);
  c.control = control[1];
  if (error == 0) {
    StopAt(Stop::beforeClone);
    Birth birth{&plan, &record, &c, bytes.at, bytes.size, sync[1], {sync[0], control[0]}, report};
    const Container* parent = FindContainer(l, record.parent);
    error = record.inside ? AskInit(l, *parent, birth) : CloneChild(l, birth);
  }
  if (sync[1] >= 0) Close(sync[1]);
  if (control[1] >= 0) Close(control[1]);
  record.sync = sync[0];
  record.control = control[0];
  SetAside(&record.control);
  return error;
}

int Duplicate(int fd) {
  constexpr long kDupfdCloexec = 1030;
  return static_cast<int>(Sys(__NR_fcntl, fd, kDupfdCloexec, 0));
}

// The namespaces of the container that a program joins, by its first process, which is ours to reap
// and so cannot have become another.
// What has ended has none any more, which is no error.
int OpenTargets(Launcher& l, const Container& parent, int* target) {
  int scarce = 0;
  for (uint32_t i = 0; i < kTargetCount; i++) {
    if (target[i] >= 0) continue;
    char path[64];
    Context c = {};
    c.side = SIDE_A;
    c.pid = parent.pid;
    int fd = ProcPath(c, kTargets[i], path, sizeof path);
    if (fd == 0) fd = OpenAt2(l.home.proc, path, kOReadOnly, 0);
    if (scarce == 0 && IsShortage(fd)) scarce = fd;
    target[i] = fd < 0 ? -1 : fd;
  }
  return scarce;
}

// Of the request in hand.
uint64_t taken, checked;

void BeginTrace(Container& record, Context& c, const PlanView& plan) {
  ChildReport& report = *record.report;
  const uint32_t* steps = plan.header.stepCount;
  record.traced = true;
  record.teardownFrom = steps[0] + steps[1] + steps[2];
  record.stamps = record.teardownFrom + steps[3];
  report.traceFrom = steps[0] + steps[1];
  report.traced = 1;
  Trace& trace = report.trace;
  trace.firstNs = NowNs();
  trace.firstTicks = Ticks();
  trace.phase[PHASE_TAKEN] = taken;
  trace.phase[PHASE_CHECKED] = checked;
  StampFrom(c, trace, 0);
}

int Start(Launcher& l, Container& record, const Bytes& bytes, const PlanView& plan) {
  Context c = {};
  c.home = &l.home;
  c.slots = l.slots;
  c.side = SIDE_P;
  c.oomEvent = -1;
  int target[kTargetCount];
  for (int& fd : target) fd = -1;
  int error = 0;
  record.failedSection = static_cast<uint32_t>(Section::launcher);
  if ((plan.header.flags & PLAN_JOIN) != 0) {
    const Container& parent = *FindContainer(l, record.parent);
    for (uint32_t i = 0; i < kTargetCount; i++)
      if (parent.target[i] >= 0) target[i] = Duplicate(parent.target[i]);
    error = OpenTargets(l, parent, target);
    c.target = target;
    constexpr int kMounts = 1;
    if (error == 0 && target[kMounts] < 0) error = -kEsrch;
  }
  SharedReport report;
  if (error == 0) error = MakeReport(l, record, &report);
  // Nothing of it is there yet: what has its names is another's.
  if (error != 0) record.teardownSteps = 0;
  if (error == 0 && plan.traced) BeginTrace(record, c, plan);
  if (error == 0) error = Prepare(l, record, c, plan);
  if (error == 0) error = Bear(l, record, c, bytes, plan, report);
  Forget(report);
  ReturnFromJoins(c);
  for (int fd : target)
    if (fd >= 0) Close(fd);
  return error;
}

ReportHeader Failure(uint32_t id, uint32_t section, uint32_t step, int error) {
  ReportHeader report = NewReport(Report::failed, id);
  report.section = section;
  report.step = step;
  report.error = -error;
  report.status = -1;
  return report;
}

// What cannot be watched (epoll(7), max_user_watches) is looked at from time to time.
void WatchAll(Launcher& l, Container& record) {
  uint32_t index = static_cast<uint32_t>(&record - l.table);
  bool all = Watching(l, record.sync, Watch::sync, index) == 0;
  if (!record.inside && !record.deferred) all &= WatchExit(l, record) == 0;
  if (record.control >= 0) all &= Watching(l, record.control, Watch::control, index) == 0;
  if (record.oomEvent >= 0) all &= Watching(l, record.oomEvent, Watch::oom, index) == 0;
  record.unwatched = !all;
}

void Begin(Launcher& l, Container& record, const Bytes& bytes, const PlanView& plan) {
  int error = KeepTeardown(record, plan);
  if (error == 0) error = Start(l, record, bytes, plan);
  if (error == 0) {
    StopAt(Stop::afterClone);
    // The init will not be dumpable: in its own user namespace the launcher has no right to open
    // them then.
    if (l.home.ownUser && (plan.header.flags & PLAN_SERVE) != 0) {
      error = OpenTargets(l, record, record.target);
      for (int& fd : record.target) SetAside(&fd);
    }
    if (error == 0) error = Attend(l, record, plan);
    WatchAll(l, record);
    if (error == 0) return;
    // The child exists: it is killed, and OnExit goes on from there.
    record.state = State::failed;
    record.failedError = error;
    Kill(l, record);
    return;
  }
  record.state = State::ended;
  if (record.failedSection == static_cast<uint32_t>(Section::prepare) ||
      record.failedSection == static_cast<uint32_t>(Section::journal))
    NarrowTeardown(record, plan.section[0]);
  ReportHeader report = Failure(record.id, record.failedSection, record.failedStep, error);
  if (ParentEnded(l, record))
    report = Failure(record.id, static_cast<uint32_t>(Section::launcher), 0, -kEsrch);
  FinishTeardown(l, record, report);
}

// Whether the request and the plan speak of the same thing, and what they are for is there.
int CheckTarget(const RequestHeader& request, const Container* parent, uint32_t flags) {
  bool exec = request.type == static_cast<uint32_t>(Request::exec);
  if ((flags & PLAN_RELEASE) != 0) return -kEproto;
  if (exec != ((flags & (PLAN_INSIDE | PLAN_JOIN)) != 0)) return -kEproto;
  if (!exec) return 0;
  if (parent == nullptr || parent->parent != 0 || parent->state != State::running || parent->killed)
    return -kEsrch;
  return (flags & PLAN_INSIDE) != 0 && parent->control < 0 ? -kEproto : 0;
}

}  // namespace

void Launch(Launcher& l, Client& client, Received& request) {
  taken = Ticks();
  const uint32_t id = request.header.id;
  const bool exec = request.header.type == static_cast<uint32_t>(Request::exec);
  Bytes bytes = {};
  PlanView plan;
  PlanFault fault = {static_cast<uint32_t>(Section::launcher), 0};
  int error = l.homeMade ? 0 : -kEproto;
  // Its own affair, and none of the containers' that live.
  if (error == 0 && request.fdsLost) error = -kEmfile;
  if (error == 0) error = TakePlan(request, &bytes);
  if (error == 0 && FindFor(l, client, id) != nullptr) error = -kEexist;
  if (error == 0) error = CheckPlan(bytes.at, bytes.size, request.fdCount, &plan, &fault);
  checked = Ticks();
  const Container* parent = exec ? FindFor(l, client, request.header.arg) : nullptr;
  if (error == 0) {
    // Nothing is wrong with the plan.
    fault = {static_cast<uint32_t>(Section::launcher), 0};
    error = CheckTarget(request.header, parent, plan.header.flags);
  }
  // A monitor is there for one container.
  if (error == 0 && !exec && l.monitor.detached) error = -kEproto;
  const uint32_t inside = parent == nullptr ? 0 : parent->number;
  // The table may move.
  Container* record = error == 0 ? NewContainer(l) : nullptr;
  if (error == 0 && record == nullptr) error = -kEnomem;
  if (error != 0) {
    CloseFds(&request);
    Reply(l, client, Failure(id, fault.section, fault.step, error));
    Reply(l, client, NewReport(Report::gone, id));
  } else {
    for (uint32_t i = 0; i < request.fdCount; i++) l.slots[i] = request.fds[i];
    record->state = State::starting;
    record->id = id;
    record->client = client.serial;
    if (exec) {
      record->parent = inside;
      record->inside = (plan.header.flags & PLAN_INSIDE) != 0;
      record->parks = (plan.header.flags & PLAN_PARK) != 0;
    }
    record->deferred = !exec && request.header.arg != 0;
    l.live++;
    Begin(l, *record, bytes, plan);
    CloseSlots(l);
  }
  if (bytes.mapped)
    Unmap(bytes.at, bytes.size);
  else if (bytes.at != nullptr)
    Zero(bytes.at, bytes.size);
}

}  // namespace ringfort
