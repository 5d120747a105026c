// The stop points of the launcher that is built for test/kernel/killed.test.ts. It waits for
// SIGCONT instead of stopping itself, because the first process of a pid namespace cannot; the name
// of the process says where it is held.
#include "launcher/stops.h"

namespace ringfort {
namespace {

constexpr uint32_t kStopRequest = 0x706f7473;  // "stop"
constexpr uint32_t kLauncherPoints = 4;
constexpr long kPrGetName = 16;
constexpr uint64_t kSigcont = 18;

// Where to stop, once: section << 16 | index. Shared with everything that the launcher clones,
// since an init hears of it only so.
uint32_t* Wanted() {
  static uint32_t* wanted = nullptr;
  if (wanted == nullptr) {
    wanted = static_cast<uint32_t*>(Map(sizeof *wanted, true));
    if (wanted == nullptr) Exit(70);
    *wanted = ~0u;
  }
  return wanted;
}

char* Decimal(uint32_t number, char* at) {
  if (number >= 10) at = Decimal(number / 10, at);
  *at = static_cast<char>('0' + number % 10);
  return at + 1;
}

void Hold(uint32_t section, uint32_t index) {
  char before[16];
  char name[32] = "stop:";
  char* end = Decimal(section, name + 5);
  *end++ = ':';
  *Decimal(index, end) = 0;
  const uint64_t set = uint64_t{1} << (kSigcont - 1);
  uint64_t mask;
  constexpr long kBlock = 0;
  Sys(__NR_rt_sigprocmask, kBlock, P(&set), P(&mask), kSigsetSize);
  Sys(__NR_prctl, kPrGetName, P(before));
  Sys(__NR_prctl, kPrSetName, P(name));
  while (Sys(__NR_rt_sigtimedwait, P(&set), 0, 0, kSigsetSize) == -kEintr) {
  }
  Sys(__NR_prctl, kPrSetName, P(before));
  Sys(__NR_rt_sigprocmask, kSigSetmask, P(&mask), 0, kSigsetSize);
}

void Reach(uint32_t section, uint32_t index) {
  uint32_t point = section << 16 | index;
  constexpr bool kStrong = false;
  if (__atomic_compare_exchange_n(Wanted(), &point, ~0u, kStrong, __ATOMIC_SEQ_CST,
                                  __ATOMIC_SEQ_CST))
    Hold(section, index);
}

}  // namespace

void StopAtStep(uint32_t side, uint32_t index) {
  uint32_t section = side == SIDE_P ? 0 : side == SIDE_A ? 1 : side == SIDE_C ? 2 : 3;
  Reach(section, index);
}

void StopAt(Stop stop) { Reach(kLauncherPoints, static_cast<uint32_t>(stop)); }

bool TakeStop(const RequestHeader& request) {
  if (request.type != kStopRequest) return false;
  __atomic_store_n(Wanted(), request.arg, __ATOMIC_SEQ_CST);
  return true;
}

}  // namespace ringfort
