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

namespace {

// The pointers execve wants, made before any filter could forbid the memory for them.
int BuildVectors(Context& c, const SectionView& child) {
  uint32_t offset = 0;
  StepView step;
  for (uint32_t i = 0; i < child.steps; i++) {
    if (!DecodeStep(child.at + offset, child.size - offset, &step)) return -kEproto;
    offset += step.size;
  }
  if (step.op != Op::exec) return 0;
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

}  // namespace

// The new process. It uses raw system calls and memory that exists already; no heap, no locks.
void RunChild(Context& c, const SectionView& child) {
  uint32_t failed = 0;
  // Only the launcher ignores it.
  Handle(kSigxfsz, kDefault);
  // Its lock says that the launcher lives.
  if (c.home->journal != nullptr) Close(c.home->journal->fd);
  if (c.report != nullptr && c.report->traced != 0)
    StampFrom(c, c.report->trace, c.report->traceFrom);
  int error = BuildVectors(c, child);
  if (error == 0) error = RunSection(c, child, &failed);
  if (c.report != nullptr) c.report->error = error;
  Exit(70);
}

}  // namespace ringfort
