// Plans that test/fuzz has made, on stdin: the size of each, 32 bits little endian, and its bytes.
// Prints the number of each that the reader refuses and the errno; the last line is how many came.
#include <cstdio>

#include "plans.h"

using namespace ringfort;
using namespace ringfort::test;

int main() {
  uint8_t head[4];
  unsigned long count = 0;
  int status = 0;
  for (; std::fread(head, 1, sizeof head, stdin) == sizeof head; count++) {
    const Bytes size(head, head + sizeof head);
    Bytes plan(Get32(size, 0));
    if (std::fread(plan.data(), 1, plan.size(), stdin) != plan.size()) return 2;
    if (plan.size() < sizeof(PlanHeader)) return 2;
    const Verdict verdict = Check(plan, Get32(plan, offsetof(PlanHeader, fdCount)));
    if (verdict.error == 0 && verdict.walked) continue;
    std::printf("%lu %d section %u step %u\n", count, verdict.error, verdict.fault.section,
                verdict.fault.step);
    status = 1;
  }
  std::printf("%lu plans\n", count);
  return status;
}
