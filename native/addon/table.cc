// The step table and the protocol's numbers as data, so that a contract test can compare them with
// what lib/ writes.
#include "addon/parts.h"
#include "protocol.h"

namespace ringfort {
namespace {

struct Row {
  const char* name;
  const char* signature;
  uint32_t sides, needs, raises;
};

constexpr Row kRows[] = {
#define STEP(name, signature, sides, needs, raises) {#name, signature, sides, needs, raises},
#include "steps.def"
#undef STEP
};

}  // namespace

void InitTable(Napi::Env env, Napi::Object exports) {
  Napi::Array steps = Napi::Array::New(env);
  for (const Row& row : kRows) {
    Napi::Object step = Napi::Object::New(env);
    step.Set("name", row.name);
    step.Set("signature", row.signature);
    step.Set("sides", row.sides);
    step.Set("needs", row.needs);
    step.Set("raises", row.raises);
    steps.Set(steps.Length(), step);
  }
  Napi::Object numbers = Napi::Object::New(env);
  numbers.Set("planMagic", kPlanMagic);
  numbers.Set("planVersion", kPlanVersion);
  numbers.Set("planHeaderSize", static_cast<uint32_t>(sizeof(PlanHeader)));
  numbers.Set("reportHeaderSize", static_cast<uint32_t>(sizeof(ReportHeader)));
  numbers.Set("maxPlanBytes", kMaxPlanBytes);
  numbers.Set("maxSteps", kMaxSteps);
  numbers.Set("maxSlots", kMaxSlots);
  numbers.Set("maxFds", kMaxFds);
  numbers.Set("slotHost", kSlotHost);
  numbers.Set("slotProc", kSlotProc);
  numbers.Set("slotHome", kSlotHome);
  numbers.Set("slotNone", kSlotNone);
  numbers.Set("wallPivot", static_cast<uint32_t>(WALL_PIVOT));
  numbers.Set("wallCaps", static_cast<uint32_t>(WALL_CAPS));
  numbers.Set("wallNoNewPrivs", static_cast<uint32_t>(WALL_NNP));
  numbers.Set("wallSeccomp", static_cast<uint32_t>(WALL_SECCOMP));
  numbers.Set("wallFds", static_cast<uint32_t>(WALL_FDS));
  numbers.Set("wallAssert", static_cast<uint32_t>(WALL_ASSERT));
  numbers.Set("forkInit", static_cast<uint32_t>(FORK_INIT));
  numbers.Set("forkMiddle", static_cast<uint32_t>(FORK_MIDDLE));
  exports.Set("steps", steps);
  exports.Set("protocol", numbers);
}

}  // namespace ringfort
