// Undoing: known before anything was created, carried out when the container has ended, however it
// ended, and repeated until nothing is left.
#include "launcher/container.h"
#include "launcher/journal.h"
#include "launcher/stops.h"

namespace ringfort {
namespace {

uint8_t data[kMaxReportData];

uint32_t ReadInto(Context& c, const StepView& step, uint32_t index, uint32_t at) {
  if (sizeof(Found) > kMaxReportData - at) return at;
  uint32_t room = kMaxReportData - at - static_cast<uint32_t>(sizeof(Found));
  uint32_t max = step.arg[2].number < room ? static_cast<uint32_t>(step.arg[2].number) : room & ~3u;
  Found found{index, 0, 0};
  int fd = OpenBelow(c, step.arg[0].number, step.arg[1].text, kOReadOnly, kResolveNoMagiclinks);
  long n = fd < 0 ? fd : Read(fd, data + at + sizeof found, max);
  if (fd >= 0) Close(fd);
  if (n < 0)
    found.error = static_cast<uint32_t>(-n);
  else
    found.size = static_cast<uint32_t>(n);
  __builtin_memcpy(data + at, &found, sizeof found);
  return at + static_cast<uint32_t>(sizeof found) + ((found.size + 3) & ~3u);
}

struct Pass {
  uint32_t dataSize = 0;
  uint32_t left = 0;
  uint32_t step = 0;
  int error = 0;
};

Context TeardownContext(Launcher& l) {
  Context c = {};
  c.home = &l.home;
  c.side = SIDE_T;
  c.oomEvent = -1;
  return c;
}

// Which steps of a teardown.
enum class Part {
  account,  // ends what still runs, and reads what it used
  remove,   // rmdir: nobody has to wait for it
  again,    // all but the reading
};

Pass RunTeardown(Launcher& l, Container& record, Part part) {
  Context c = TeardownContext(l);
  if (record.traced) StampFrom(c, record.report->trace, record.teardownFrom);
  Pass pass;
  uint32_t offset = 0;
  for (uint32_t i = 0; i < record.teardownSteps; i++) {
    StepView step;
    if (!DecodeStep(record.teardown + offset, record.teardownSize - offset, &step)) break;
    offset += step.size;
    if (step.op == Op::writeOnKill) continue;
    if (part != Part::again && (step.op == Op::rmdir) != (part == Part::remove)) continue;
    StopAtStep(SIDE_T, i);
    if (step.op == Op::read) {
      if (part == Part::account) pass.dataSize = ReadInto(c, step, i, pass.dataSize);
      if (i < c.stampRoom) c.stamps[i] = Ticks();
      continue;
    }
    int error = RunStep(c, step);
    if (i < c.stampRoom) c.stamps[i] = Ticks();
    if (step.op != Op::rmdir) continue;
    if (error == 0 || error == -kEnoent) {
      StopAt(Stop::afterRmdir);
      Forget(l.home, step.arg[1]);
      continue;
    }
    pass.left++;
    pass.step = i;
    pass.error = error;
  }
  return pass;
}

void TellTrace(Launcher& l, Container& c) {
  Trace& trace = c.report->trace;
  trace.lastNs = NowNs();
  trace.lastTicks = Ticks();
  uint32_t stamps = c.stamps < kMaxStamps ? c.stamps : kMaxStamps;
  ReportHeader report = NewReport(Report::trace, c.id);
  report.dataSize = static_cast<uint32_t>(__builtin_offsetof(Trace, step)) + stamps * 8;
  Tell(l, c, report, &trace);
}

void Gone(Launcher& l, Container& c) {
  StopAt(Stop::afterTeardown);
  if (c.traced) TellTrace(l, c);
  Tell(l, c, NewReport(Report::gone, c.id));
  ForgetContainer(l, c);
}

void After(Launcher& l, Container& c, const Pass& pass) {
  if (pass.left == 0) return Gone(l, c);
  // A dying cgroup stays busy for a moment; after some tries Node hears of it, and it goes on.
  constexpr uint32_t kTellAfter = 12;
  if (++c.retries == kTellAfter) {
    ReportHeader report = NewReport(Report::gone, c.id);
    report.step = pass.step;
    report.error = -pass.error;
    report.left = pass.left;
    Tell(l, c, report);
  }
  c.retryAt = Now() + (c.retries > 9 ? 500 : 1 << c.retries);
}

}  // namespace

void FinishTeardown(Launcher& l, Container& c, ReportHeader report) {
  StopAt(Stop::beforeTeardown);
  report.dataSize = RunTeardown(l, c, Part::account).dataSize;
  // A launch that has failed has left nothing; a result does not wait for that.
  const bool failed = report.type == static_cast<uint32_t>(Report::failed);
  Pass pass;
  if (failed) pass = RunTeardown(l, c, Part::remove);
  KeepExit(l, c, report, data);
  Tell(l, c, report, data);
  Mark(c, PHASE_TOLD);
  if (!failed) pass = RunTeardown(l, c, Part::remove);
  After(l, c, pass);
}

void RetryTeardown(Launcher& l, Container& c) { After(l, c, RunTeardown(l, c, Part::again)); }

void KillCgroups(Launcher& l, Container& record) {
  Context c = TeardownContext(l);
  uint32_t offset = 0;
  for (uint32_t i = 0; i < record.teardownSteps; i++) {
    StepView step;
    if (!DecodeStep(record.teardown + offset, record.teardownSize - offset, &step)) return;
    offset += step.size;
    if (step.op == Op::write || step.op == Op::writeOnKill) RunStep(c, step);
  }
}

}  // namespace ringfort
