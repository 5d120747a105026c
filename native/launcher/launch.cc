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
  if (request.header.arg == 1) return MapPlan(request, plan);
  if (request.bodySize != request.header.size) return -kEproto;
  *plan = Bytes{request.body, request.bodySize, false};
  return 0;
}

// The pointers execve wants, made before any filter could forbid the memory for them.
int BuildVectors(Context& c, const SectionView& child) {
  uint32_t offset = 0;
  StepView step;
  for (uint32_t i = 0; i < child.steps; i++) {
    if (!DecodeStep(child.at + offset, child.size - offset, &step)) return -kEproto;
    offset += step.size;
  }
  uint64_t argc = step.arg[1].number, envc = step.arg[2].number;
  auto** vectors = static_cast<const char**>(Map((argc + envc + 2) * sizeof(char*), false));
  if (vectors == nullptr) return -kEnomem;
  c.argv = vectors;
  c.envp = vectors + argc + 1;
  StringList argv(step.arg[1]), env(step.arg[2]);
  for (uint64_t i = 0; i < argc; i++) c.argv[i] = argv.Next();
  for (uint64_t i = 0; i < envc; i++) c.envp[i] = env.Next();
  return 0;
}

// The new process. It uses raw system calls and memory that exists already; no heap, no locks.
[[noreturn]] void RunChild(Context& c, const PlanView& plan) {
  const SectionView& child = plan.section[static_cast<uint32_t>(Section::child)];
  uint32_t failed = 0;
  // Its lock says that the launcher lives.
  if (c.home->journal != nullptr) Close(c.home->journal->fd);
  int error = BuildVectors(c, child);
  if (error == 0) error = RunSection(c, child, &failed);
  c.report->error = error;
  Exit(70);
}

void CloseSlots(Launcher& l) {
  for (int& fd : l.slots) {
    if (fd >= 0) Close(fd);
    fd = -1;
  }
}

int KeepTeardown(Container& record, const PlanView& plan) {
  const SectionView& section = plan.section[static_cast<uint32_t>(Section::teardown)];
  record.teardownSteps = section.steps;
  if (section.size == 0) return 0;
  record.teardown = static_cast<uint8_t*>(Map(section.size, false));
  if (record.teardown == nullptr) return -kEnomem;
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

long Clone(Launcher& l, Context& c, const PlanView& plan, int* pidfd) {
  CloneArgs args = {};
  args.flags = plan.header.cloneFlags | kClonePidfd;
  args.pidfd = static_cast<uint64_t>(P(pidfd));
  args.exit_signal = kSigchld;
  if (plan.header.intoCgroup != kSlotNone) {
    args.flags |= kCloneIntoCgroup;
    args.cgroup = static_cast<uint64_t>(SlotFd(c, plan.header.intoCgroup));
  }
  // In its own user namespace the launcher may write a child's maps only while the child's proc
  // files belong to it, that is while it is dumpable; the plan makes it non-dumpable again.
  if (l.home.ownUser) Sys(__NR_prctl, kPrSetDumpable, 1, 0, 0, 0);
  long pid = Sys(nr::clone3, P(&args), sizeof args);
  if (pid != 0 && l.home.ownUser) Sys(__NR_prctl, kPrSetDumpable, 0, 0, 0, 0);
  return pid;
}

int Attend(Launcher& l, Container& record, const PlanView& plan) {
  Context c = {};
  c.home = &l.home;
  c.slots = l.slots;
  c.side = SIDE_A;
  c.pid = record.pid;
  c.oomEvent = -1;
  record.failedSection = static_cast<uint32_t>(Section::attend);
  int error = RunSection(c, plan.section[1], &record.failedStep);
  StopAt(Stop::beforeGo);
  // A child that is dead already does not hear it; the end of its socket says why.
  if (error == 0) Write(record.sync, "g", 1);
  return error;
}

int Start(Launcher& l, Container& record, const Bytes& bytes, const PlanView& plan) {
  Context c = {};
  c.home = &l.home;
  c.slots = l.slots;
  c.side = SIDE_P;
  c.oomEvent = -1;
  record.failedSection = static_cast<uint32_t>(Section::prepare);
  int error = RunSection(c, plan.section[0], &record.failedStep);
  record.oomEvent = c.oomEvent;
  if (c.journalFailed) record.failedSection = static_cast<uint32_t>(Section::journal);
  if (error == 0 && (c.joined & kCloneNewns) == 0 && c.inHostMounts) {
    error = static_cast<int>(Sys(__NR_setns, l.home.homeMounts, static_cast<long>(kCloneNewns)));
    c.inHostMounts = error != 0;
  }
  int pair[2] = {-1, -1};
  constexpr long kUnix = 1, kSeqpacket = 5;
  if (error == 0) {
    record.failedSection = static_cast<uint32_t>(Section::launcher);
    error = static_cast<int>(Sys(__NR_socketpair, kUnix, kSeqpacket | kOCloexec, 0, P(pair)));
  }
  if (error == 0) {
    record.report = static_cast<ChildReport*>(Map(sizeof(ChildReport), true));
    if (record.report == nullptr) error = -kEnomem;
  }
  if (error == 0) {
    record.report->step = ~0u;
    StopAt(Stop::beforeClone);
    long pid = Clone(l, c, plan, &record.pidfd);
    if (pid == 0) {
      Close(pair[0]);
      c.side = SIDE_C;
      c.sync = pair[1];
      c.report = record.report;
      c.planBytes = bytes.at;
      c.planSize = bytes.size;
      RunChild(c, plan);
    }
    record.pid = static_cast<int>(pid);
    if (pid < 0) {
      error = static_cast<int>(pid);
      record.pidfd = -1;
    }
  }
  ReturnFromJoins(c);
  if (pair[1] >= 0) Close(pair[1]);
  record.sync = pair[0];
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

int WatchAll(Launcher& l, Container& record) {
  uint32_t index = static_cast<uint32_t>(&record - l.table);
  if (int error = Watching(l, record.sync, Watch::sync, index)) return error;
  if (int error = Watching(l, record.pidfd, Watch::pidfd, index)) return error;
  return record.oomEvent < 0 ? 0 : Watching(l, record.oomEvent, Watch::oom, index);
}

void Begin(Launcher& l, Container& record, const Bytes& bytes, const PlanView& plan) {
  int error = KeepTeardown(record, plan);
  if (error == 0) error = Start(l, record, bytes, plan);
  if (error == 0) {
    StopAt(Stop::afterClone);
    error = Attend(l, record, plan);
    if (int watched = WatchAll(l, record); error == 0) error = watched;
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
  FinishTeardown(l, record, report);
}

}  // namespace

void Launch(Launcher& l, Received& request) {
  const uint32_t id = request.header.id;
  Bytes bytes = {};
  PlanView plan;
  PlanFault fault = {static_cast<uint32_t>(Section::launcher), 0};
  int error = l.homeMade ? TakePlan(request, &bytes) : -kEproto;
  if (error == 0 && FindContainer(l, id) != nullptr) error = -kEexist;
  if (error == 0) error = CheckPlan(bytes.at, bytes.size, request.fdCount, &plan, &fault);
  Container* record = error == 0 ? NewContainer(l) : nullptr;
  if (error == 0 && record == nullptr) error = -kEnomem;
  if (error != 0) {
    CloseFds(&request);
    Send(l.socket, Failure(id, fault.section, fault.step, error));
    Send(l.socket, NewReport(Report::gone, id));
  } else {
    for (uint32_t i = 0; i < request.fdCount; i++) l.slots[i] = request.fds[i];
    record->state = State::starting;
    record->id = id;
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
