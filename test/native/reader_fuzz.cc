// Arbitrary bytes as a plan: once as they are, and once with everything put right that a mutation
// almost never hits, so that the records behind the header are reached.
#include <algorithm>
#include <cstdlib>

#include "plans.h"

using namespace ringfort;
using namespace ringfort::test;

namespace {

void CheckOnce(const Bytes& bytes, uint32_t fds) {
  const Verdict verdict = Check(bytes, fds);
  if (verdict.error == 0 && !verdict.walked) std::abort();
}

// Records that follow each other by what they say of their size.
uint32_t CountRecords(const Bytes& bytes, size_t at, size_t end) {
  uint32_t count = 0;
  while (at + sizeof(StepHeader) <= end) {
    const uint32_t size = Get32(bytes, at + 4);
    if (size < sizeof(StepHeader) || size > end - at) break;
    at += size;
    count++;
  }
  return count;
}

Bytes Mended(const uint8_t* data, size_t size) {
  Bytes bytes(data, data + size);
  PlanHeader header;
  std::memcpy(&header, data, sizeof header);
  header.magic = kPlanMagic;
  header.version = kPlanVersion;
  header.size = static_cast<uint32_t>(size);
  header.slotCount %= kMaxSlots + 1;
  header.fdCount = std::min({header.fdCount, header.slotCount, kMaxFds});
  header.waived &= WALL_ALL;
  header.cloneFlags = 0;
  const uint32_t flags[] = {0,         PLAN_SERVE,   PLAN_INSIDE,
                            PLAN_JOIN, PLAN_RELEASE, PLAN_INSIDE | PLAN_PARK};
  header.flags = flags[header.flags % 6] | (header.flags & PLAN_TRACE);
  const bool release = (header.flags & PLAN_RELEASE) != 0;
  if (release) {
    header.fdCount = header.slotCount = kReleaseFds;
    header.waived = 0;
    header.intoCgroup = kSlotNone;
  }
  uint32_t at = sizeof header;
  for (int i = 0; i < 4; i++) {
    const uint32_t left = header.size - at;
    header.sectionSize[i] = i == 3 ? left : std::min(header.sectionSize[i], left);
    if (release && i > 0) header.sectionSize[i] = i == 2 ? left : 0;
    header.stepCount[i] = CountRecords(bytes, at, at + header.sectionSize[i]);
    at += header.sectionSize[i];
  }
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes bytes(data, data + size);
  CheckOnce(bytes, size < sizeof(PlanHeader) ? 0 : Get32(bytes, offsetof(PlanHeader, fdCount)));
  if (size < sizeof(PlanHeader)) return 0;
  const Bytes mended = Mended(data, size);
  CheckOnce(mended, Get32(mended, offsetof(PlanHeader, fdCount)));
  return 0;
}
