#include "launcher/context.h"
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

int RunSection(Context& c, const SectionView& section, uint32_t* failed) {
  uint32_t offset = 0;
  for (uint32_t i = 0; i < section.steps; i++) {
    *failed = i;
    if (c.report != nullptr) c.report->step = i;
    StopAtStep(c.side, i);
    StepView step;
    if (!DecodeStep(section.at + offset, section.size - offset, &step)) return -kEproto;
    if (int error = RunStep(c, step)) return error;
    offset += step.size;
  }
  return 0;
}

}  // namespace ringfort
