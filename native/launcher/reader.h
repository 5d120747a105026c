// Reads plans that may be hostile: every length, count, offset, slot and op is checked before a
// single step runs.
#pragma once
#include "launcher/syscalls.h"
#include "protocol.h"

namespace ringfort {

struct Arg {
  uint64_t number;   // u q f o; v: how many strings
  const char* text;  // s: NUL-terminated; b: bytes; v: the encoded list
  uint32_t size;     // s b v: bytes at text (s: without the NUL)
};

struct StepView {
  Op op;
  uint32_t size;  // of the record
  Arg arg[6];
};

// One section of a checked plan.
struct SectionView {
  const uint8_t* at;
  uint32_t size;
  uint32_t steps;
};

struct PlanView {
  PlanHeader header;  // its flags without PLAN_TRACE
  SectionView section[4];
  bool traced;
};

// Where a plan is wrong.
struct PlanFault {
  uint32_t section;
  uint32_t step;
};

// Decodes the record at `at`; false when it is not well-formed within `left` bytes.
bool DecodeStep(const uint8_t* at, uint32_t left, StepView* step);

// Checks the whole plan and fills `view`. 0, or a negative errno with `fault` set.
int CheckPlan(const uint8_t* bytes, uint32_t size, uint32_t fds, PlanView* view, PlanFault* fault);

// Walks an encoded string list.
class StringList {
 public:
  explicit StringList(const Arg& arg) : at_(arg.text), left_(static_cast<uint32_t>(arg.number)) {}
  const char* Next(uint32_t* size = nullptr);

 private:
  const char* at_;
  uint32_t left_;
};

}  // namespace ringfort
