// Arbitrary bytes for the plan reader. The first byte decides how much of the header is put right,
// so that the sections behind it are reached as well.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "launcher/reader.h"

using namespace ringfort;

namespace {

void MendHeader(uint8_t* bytes, uint32_t size, uint8_t how) {
  PlanHeader header;
  std::memcpy(&header, bytes, sizeof header);
  header.magic = kPlanMagic;
  header.version = kPlanVersion;
  header.size = size;
  header.reserved = 0;
  header.fdCount = 0;
  if (how & 2) {
    header.slotCount %= kMaxSlots + 1;
    header.waived &= WALL_ALL;
    header.cloneFlags = 0;
    header.intoCgroup = kSlotNone;
  }
  if (how & 4) {
    // The whole rest is the child's section; its step count stays small enough to match by chance.
    std::memset(header.sectionSize, 0, sizeof header.sectionSize);
    header.sectionSize[2] = size - sizeof header;
    for (uint32_t& count : header.stepCount) count = 0;
    header.stepCount[2] = how >> 3;
  }
  std::memcpy(bytes, &header, sizeof header);
}

// Reads everything that an accepted plan points to, as the executor would.
void Walk(const PlanView& plan) {
  volatile uint64_t sum = 0;
  for (const SectionView& section : plan.section) {
    uint32_t offset = 0;
    for (uint32_t i = 0; i < section.steps; i++) {
      StepView step = {};
      if (!DecodeStep(section.at + offset, section.size - offset, &step)) std::abort();
      offset += step.size;
      for (const Arg& arg : step.arg) {
        for (uint32_t at = 0; arg.text != nullptr && at < arg.size; at++) sum = sum + arg.text[at];
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A copy of just this size, so that a read past the end is seen.
  const uint32_t planSize = static_cast<uint32_t>(size - 1);
  auto* plan = static_cast<uint8_t*>(std::malloc(planSize));
  std::memcpy(plan, data + 1, planSize);
  if ((data[0] & 1) != 0 && planSize >= sizeof(PlanHeader)) MendHeader(plan, planSize, data[0]);
  PlanView view;
  PlanFault fault;
  if (CheckPlan(plan, planSize, 0, &view, &fault) == 0) Walk(view);
  std::free(plan);
  return 0;
}
