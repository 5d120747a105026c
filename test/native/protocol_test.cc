// A plan that is nothing but a header, and the ways to get even that wrong.
#include "protocol.h"

#include <cstring>

#include "check.h"
#include "launcher/reader.h"

using namespace ringfort;

namespace {

int Check(const PlanHeader& header, uint32_t size = sizeof(PlanHeader), uint32_t fds = 0) {
  uint8_t bytes[sizeof(PlanHeader)];
  std::memcpy(bytes, &header, sizeof bytes);
  PlanView view;
  PlanFault fault;
  return CheckPlan(bytes, size, fds, &view, &fault);
}

PlanHeader GoodHeader() {
  PlanHeader header = {};
  header.magic = kPlanMagic;
  header.version = kPlanVersion;
  header.size = sizeof header;
  header.intoCgroup = kSlotNone;
  return header;
}

template <typename Change>
bool Refused(Change change) {
  PlanHeader header = GoodHeader();
  change(header);
  return Check(header) == -kEproto;
}

}  // namespace

int main() {
  // No child section: well-formed to the last byte, but it never waits and never executes.
  CHECK(Check(GoodHeader()) == -kEproto);
  CHECK(Check(GoodHeader(), sizeof(PlanHeader) - 1) == -kEproto);
  CHECK(Check(GoodHeader(), sizeof(PlanHeader), 1) == -kEproto);
  CHECK(Refused([](PlanHeader& h) { h.magic++; }));
  CHECK(Refused([](PlanHeader& h) { h.version++; }));
  CHECK(Refused([](PlanHeader& h) { h.size++; }));
  CHECK(Refused([](PlanHeader& h) { h.fdCount = 1; }));
  CHECK(Refused([](PlanHeader& h) { h.slotCount = kMaxSlots + 1; }));
  CHECK(Refused([](PlanHeader& h) { h.waived = WALL_ALL + 1; }));
  CHECK(Refused([](PlanHeader& h) { h.cloneFlags = 0x100; }));
  CHECK(Refused([](PlanHeader& h) { h.sectionSize[3] = 0xFFFFFFFF; }));
  CHECK(Refused([](PlanHeader& h) { h.stepCount[2] = 0xFFFFFFFF; }));
  return 0;
}
