#include "launcher/journal.h"
#include "launcher/stops.h"

namespace ringfort {

int RunStep(Context& c, const StepView& step) {
  switch (step.op) {
#define STEP(name, signature, sides, needs, raises) \
  case Op::name:                                    \
    return Step_##name(c, step.arg);
#include "steps.def"
#undef STEP
    case Op::count: break;
  }
  return -kEproto;
}

void StampFrom(Context& c, Trace& trace, uint32_t from) {
  c.stampRoom = from < kMaxStamps ? kMaxStamps - from : 0;
  c.stamps = trace.step + (from < kMaxStamps ? from : 0);
}

int RunSection(Context& c, const SectionView& section, uint32_t* failed) {
  uint32_t offset = 0;
  for (uint32_t i = 0; i < section.steps; i++) {
    *failed = i;
    if (c.report != nullptr) c.report->step = i;
    StopAtStep(c.side, i);
    StepView step;
    if (!DecodeStep(section.at + offset, section.size - offset, &step)) return -kEproto;
    if (int error = RunStep(c, step)) return error;
    if (i < c.stampRoom) c.stamps[i] = Ticks();
    offset += step.size;
  }
  return 0;
}

int FillVectors(Context& c, const SectionView& section, uint64_t room) {
  uint32_t offset = 0;
  StepView step;
  for (uint32_t i = 0; i < section.steps; i++) {
    if (!DecodeStep(section.at + offset, section.size - offset, &step)) return -kEproto;
    offset += step.size;
  }
  if (step.op != Op::exec) return step.op == Op::park ? ReserveVectors(c) : 0;
  uint64_t argc = step.arg[1].number, envc = step.arg[2].number, count = argc + envc + 2;
  if (room == 0) c.argv = static_cast<const char**>(Map(count * sizeof(char*), false));
  if (c.argv == nullptr) return -kEnomem;
  if (room != 0 && count > room) return -kEproto;
  c.envp = c.argv + argc + 1;
  StringList argv(step.arg[1]), env(step.arg[2]);
  for (uint64_t i = 0; i < argc; i++) c.argv[i] = argv.Next();
  for (uint64_t i = 0; i < envc; i++) c.envp[i] = env.Next();
  return 0;
}

// The new process. It uses raw system calls and memory that exists already; no heap, no locks.
void RunChild(Context& c, const SectionView& child) {
  uint32_t failed = 0;
  // Only the launcher ignores it.
  Handle(kSigxfsz, kDefault);
  // Its lock says that the launcher lives.
  if (c.home->journal != nullptr) Close(c.home->journal->fd);
  // What an init forks has the init's own otherwise.
  c.stampRoom = 0;
  if (c.report != nullptr && c.report->traced != 0)
    StampFrom(c, c.report->trace, c.report->traceFrom);
  // What the launcher and an init hold back.
  const uint64_t none = 0;
  int error = static_cast<int>(Sys(__NR_rt_sigprocmask, kSigSetmask, P(&none), 0, kSigsetSize));
  if (error == 0) error = FillVectors(c, child, 0);
  if (error == 0) error = RunSection(c, child, &failed);
  if (c.report != nullptr) c.report->error = error;
  Exit(70);
}

}  // namespace ringfort
