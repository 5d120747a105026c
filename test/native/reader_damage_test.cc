// Good plans, damaged in every place: the reader refuses them or stays inside them. The sanitizers
// are the judges of the second half.
#include "check.h"
#include "launcher/kernel.h"
#include "plans.h"

using namespace ringfort;
using namespace ringfort::test;

namespace {

constexpr size_t kSizes = offsetof(PlanHeader, sectionSize);

bool Refused(const Bytes& bytes) { return Check(bytes).error == -kEproto; }

// Refused, or accepted and then everything in it is as promised.
bool Bounded(const Bytes& bytes) {
  const Verdict verdict = Check(bytes);
  return verdict.error == -kEproto || verdict.walked;
}

void TestTruncation(const Bytes& good) {
  for (size_t size = 0; size < good.size(); size++) {
    Bytes bytes(good.begin(), good.begin() + static_cast<long>(size));
    CHECK(Refused(bytes));
    if (size < sizeof(PlanHeader)) continue;
    Set32(&bytes, offsetof(PlanHeader, size), static_cast<uint32_t>(size));
    CHECK(Refused(bytes));
    // And with section sizes that agree, so that the cut is met inside a record.
    uint32_t over = static_cast<uint32_t>(good.size() - size);
    for (size_t i = 4; i-- > 0;) {
      const uint32_t section = Get32(bytes, kSizes + 4 * i);
      const uint32_t less = over < section ? over : section;
      Set32(&bytes, kSizes + 4 * i, section - less);
      over -= less;
    }
    CHECK(Refused(bytes));
  }
}

void TestHostileWords(const Bytes& good) {
  const auto size = static_cast<uint32_t>(good.size());
  for (size_t at = 0; at + 4 <= good.size(); at += 4) {
    const uint32_t own = Get32(good, at);
    const uint32_t hostile[] = {
        0,          1,          2,          3,          4,          5,
        7,          8,          9,          0xFF,       0x7FF,      0x800,
        0x10000,    0x7FFFFFFF, 0x80000000, 0xFFFFFFEF, kSlotHost,  kSlotProc,
        kSlotHome,  0xFFFFFFF8, 0xFFFFFFFB, 0xFFFFFFFC, 0xFFFFFFFD, 0xFFFFFFFE,
        0xFFFFFFFF, size - 4,   size - 1,   size,       size + 1,   size + 4,
        own - 4,    own - 1,    own + 1,    own + 4,    own << 16,  ~own};
    for (uint32_t value : hostile) {
      Bytes bytes = good;
      Set32(&bytes, at, value);
      CHECK(Bounded(bytes));
    }
  }
}

void TestHostileBytes(const Bytes& good) {
  for (size_t at = 0; at < good.size(); at++) {
    for (int change : {0x01, 0x02, 0x04, 0x40, 0x80, 0xFF}) {
      Bytes bytes = good;
      bytes[at] = static_cast<uint8_t>(bytes[at] ^ change);
      CHECK(Bounded(bytes));
    }
  }
}

// Words taken out and put in, with the section sizes kept true.
void TestMovedWords(const Bytes& good) {
  for (size_t at = sizeof(PlanHeader); at + 4 <= good.size(); at += 4) {
    size_t section = 0, end = sizeof(PlanHeader);
    while (at >= end + Get32(good, kSizes + 4 * section))
      end += Get32(good, kSizes + 4 * section++);
    const auto resize = [&](Bytes* bytes, uint32_t change) {
      Set32(bytes, kSizes + 4 * section, Get32(good, kSizes + 4 * section) + change);
      Set32(bytes, offsetof(PlanHeader, size), static_cast<uint32_t>(bytes->size()));
    };
    const auto place = static_cast<long>(at);
    Bytes less = good;
    less.erase(less.begin() + place, less.begin() + place + 4);
    resize(&less, ~3u);
    CHECK(Refused(less));
    Bytes more = good;
    more.insert(more.begin() + place, 4, 0);
    resize(&more, 4);
    CHECK(Refused(more));
  }
}

}  // namespace

int main() {
  for (const Bytes& good : {SmallPlan().Encode(), EveryStep().Encode()}) {
    CHECK(Check(good).walked);
    TestTruncation(good);
    TestHostileWords(good);
    TestHostileBytes(good);
    TestMovedWords(good);
  }
  return 0;
}
