// Plans made in C++, good and broken, and what a test asks of the reader about them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "launcher/reader.h"

namespace ringfort::test {

using Bytes = std::vector<uint8_t>;

inline void Put32(Bytes* out, uint32_t value) {
  for (int i = 0; i < 4; i++) out->push_back(static_cast<uint8_t>(value >> 8 * i));
}

inline void Set32(Bytes* out, size_t at, uint32_t value) {
  for (int i = 0; i < 4; i++) (*out)[at + i] = static_cast<uint8_t>(value >> 8 * i);
}

inline uint32_t Get32(const Bytes& bytes, size_t at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) value |= static_cast<uint32_t>(bytes[at + i]) << 8 * i;
  return value;
}

// One record, argument by argument: the letters of native/steps.def.
struct Record {
  Op op;
  Bytes body;

  explicit Record(Op which) : op(which) {}
  Record& U(uint32_t value) {
    Put32(&body, value);
    return *this;
  }
  Record& Q(uint64_t value) {
    return U(static_cast<uint32_t>(value)).U(static_cast<uint32_t>(value >> 32));
  }
  Record& B(const std::string& bytes) {
    U(static_cast<uint32_t>(bytes.size()));
    body.insert(body.end(), bytes.begin(), bytes.end());
    while (body.size() % 4 != 0) body.push_back(0);
    return *this;
  }
  Record& S(const std::string& text) {
    U(static_cast<uint32_t>(text.size()));
    body.insert(body.end(), text.begin(), text.end());
    do body.push_back(0);
    while (body.size() % 4 != 0);
    return *this;
  }
  Record& V(std::initializer_list<std::string> list) {
    U(static_cast<uint32_t>(list.size()));
    for (const std::string& item : list) S(item);
    return *this;
  }
};

struct TestPlan {
  uint32_t fds = 1, slots = 1, waived = 0, flags = 0, intoCgroup = kSlotNone;
  uint64_t cloneFlags = 0;
  std::vector<Record> prepare, attend, child, teardown;

  Bytes Encode() const {
    PlanHeader header = {};
    header.magic = kPlanMagic;
    header.version = kPlanVersion;
    header.fdCount = fds;
    header.slotCount = slots;
    header.waived = waived;
    header.flags = flags;
    header.cloneFlags = cloneFlags;
    header.intoCgroup = intoCgroup;
    Bytes out(sizeof header);
    const std::vector<Record>* const sections[] = {&prepare, &attend, &child, &teardown};
    for (int i = 0; i < 4; i++) {
      const size_t start = out.size();
      for (const Record& record : *sections[i]) {
        Put32(&out, static_cast<uint32_t>(record.op));
        Put32(&out, static_cast<uint32_t>(sizeof(StepHeader) + record.body.size()));
        out.insert(out.end(), record.body.begin(), record.body.end());
      }
      header.stepCount[i] = static_cast<uint32_t>(sections[i]->size());
      header.sectionSize[i] = static_cast<uint32_t>(out.size() - start);
    }
    header.size = static_cast<uint32_t>(out.size());
    std::memcpy(out.data(), &header, sizeof header);
    return out;
  }
};

// The shortest child that the reader lets through: it waits, raises every wall, executes.
inline TestPlan SmallPlan() {
  TestPlan plan;
  plan.child = {
      Record(Op::wait),
      Record(Op::pivotRoot).U(0),
      Record(Op::capset).Q(0).Q(0).Q(0),
      Record(Op::noNewPrivs),
      Record(Op::closeAll).U(0).U(kSlotNone),
      Record(Op::seccomp).U(0).B("12345678"),
      Record(Op::assert).U(0).V({"NoNewPrivs:\t1"}),
      Record(Op::exec).V({"/bin/true"}).V({"true"}).V({"A=1", ""}),
  };
  return plan;
}

struct Signature {
  Op op;
  const char* letters;
  uint32_t sides, needs, raises;
};

constexpr Signature kSignatures[] = {
#define STEP(name, signature, sides, needs, raises) {Op::name, signature, sides, needs, raises},
#include "steps.def"
#undef STEP
};

// Steps that end a child section; a plan has one of them.
inline bool Ends(Op op) {
  return op == Op::exec || op == Op::serve || op == Op::serveFiles || op == Op::park;
}

// Every step on every side that may run it, in the order of the table, which raises walls in time;
// exec last, and of the ends only that.
inline TestPlan EveryStep() {
  TestPlan plan;
  plan.intoCgroup = 0;
  std::vector<Record>* const sections[] = {&plan.prepare, &plan.attend, &plan.child,
                                           &plan.teardown};
  for (int i = 0; i < 4; i++) {
    for (const Signature& row : kSignatures) {
      if ((row.sides & 1u << i) == 0 || (Ends(row.op) && row.op != Op::exec)) continue;
      Record record(row.op);
      for (const char* letter = row.letters; *letter != 0; letter++) {
        switch (*letter) {
          case 'u': record.U(0x40000000); break;  // for setns: CLONE_NEWNET
          case 'q': record.Q(1); break;
          case 's': record.S("path"); break;
          case 'b': record.B("bytes678"); break;
          case 'v': record.V({"one", "", "three"}); break;
          case 'o': record.U(plan.slots++); break;
          case 'f':
            // Teardown has no slots of its own; close takes what the open before it has filled.
            record.U(i == 3 ? kSlotHost : row.op == Op::close ? plan.slots - 1 : 0);
        }
      }
      sections[i]->push_back(record);
    }
  }
  std::stable_partition(plan.child.begin(), plan.child.end(),
                        [](const Record& record) { return !Ends(record.op); });
  return plan;
}

// Reads everything that an accepted plan points to, as the executor would. False when a record or
// a string is not what the reader has promised.
inline bool Walk(const PlanView& plan) {
  uint32_t sum = 0;
  bool good = true;
  for (const SectionView& section : plan.section) {
    uint32_t offset = 0;
    for (uint32_t i = 0; i < section.steps; i++) {
      StepView step = {};
      if (!DecodeStep(section.at + offset, section.size - offset, &step)) return false;
      offset += step.size;
      const char* letters = kSignatures[static_cast<uint32_t>(step.op)].letters;
      for (int a = 0; letters[a] != 0; a++) {
        const Arg& arg = step.arg[a];
        for (uint32_t at = 0; arg.text != nullptr && at < arg.size; at++)
          sum += static_cast<uint8_t>(arg.text[at]);
        if (letters[a] == 's') good = good && std::strlen(arg.text) == arg.size;
        if (letters[a] != 'v') continue;
        StringList list(arg);
        uint32_t size = 0;
        uint64_t count = 0;
        for (; const char* item = list.Next(&size); count++)
          good = good && std::strlen(item) == size;
        good = good && count == arg.number;
      }
    }
    good = good && offset == section.size;
  }
  volatile uint32_t sink = sum;
  (void)sink;
  return good;
}

struct Verdict {
  int error;
  PlanFault fault;
  bool walked;  // accepted, and everything it points to is as promised
};

// Checks a copy of just this size, so that the address sanitizer sees a read past its end.
inline Verdict Check(const uint8_t* bytes, size_t size, uint32_t fds) {
  std::unique_ptr<uint8_t[]> copy(new uint8_t[size]);
  if (size > 0) std::memcpy(copy.get(), bytes, size);
  Verdict verdict = {};
  PlanView view;
  verdict.error = CheckPlan(copy.get(), static_cast<uint32_t>(size), fds, &view, &verdict.fault);
  verdict.walked = verdict.error == 0 && Walk(view);
  return verdict;
}

inline Verdict Check(const Bytes& bytes, uint32_t fds = 1) {
  return Check(bytes.data(), bytes.size(), fds);
}

inline bool Accepted(const TestPlan& plan) { return Check(plan.Encode(), plan.fds).walked; }

}  // namespace ringfort::test
