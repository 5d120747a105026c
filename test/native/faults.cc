// The faults of the launcher that is built for tests: every system call of it, its children, inits
// and file agents is counted by the role of the process, and one of them, or all of one number, may
// fail. What is wanted, and what has happened, lies in a file beside the program,
// `<program>.faults` (test/helpers/faults.ts), which all of them have mapped; without it nothing
// fails.
#include "launcher/syscalls.h"

namespace ringfort {
namespace {

// In the order of test/helpers/faults.ts.
enum class Role : uint32_t { launcher, child, init, program, joiner, files, monitor, count };
constexpr uint32_t kRoles = static_cast<uint32_t>(Role::count);
// Instead of an errno: half of what was to be read or written.
constexpr int32_t kShort = 4095;
constexpr int32_t kNone = -1;
constexpr uint32_t kNumbers = 512;

struct Faults {
  uint32_t role, nth;       // the call that is to fail, from 1; 0: none
  int32_t error;            // errno, or kShort
  int32_t everyNumber;      // all calls of this number, in any role; kNone: none
  uint32_t hits;            // how many have failed
  uint32_t hitNumber;       // number of the last of them
  uint32_t counts[kRoles];  // calls by each role so far
  uint8_t used[kNumbers];   // which numbers any of them has called
};

Faults nothing = {0, 0, 0, kNone, 0, 0, {}, {}};
Faults* faults = nullptr;
Role role = Role::launcher;

long Plain(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  return Enter(number, a, b, c, d, e, f);
}

// Before anything can fail.
Faults* Open() {
  constexpr long kReadWrite = 3, kShared = 1;
  constexpr char kSuffix[] = ".faults";
  char path[512];
  long size = Plain(__NR_readlinkat, kAtFdCwd, P("/proc/self/exe"), P(path), 400);
  if (size <= 0) return &nothing;
  __builtin_memcpy(path + size, kSuffix, sizeof kSuffix);
  long fd = Plain(__NR_openat, kAtFdCwd, P(path), kOReadWrite | kOCloexec, 0);
  if (fd < 0) return &nothing;
  long at = Plain(__NR_mmap, 0, sizeof(Faults), kReadWrite, kShared, fd, 0);
  Plain(__NR_close, fd);
  return at < 0 && at > -4096 ? &nothing : reinterpret_cast<Faults*>(at);
}

bool Names(long text, const char* name) {
  return Equal(reinterpret_cast<const char*>(text), name, Length(name) + 1);
}

// What a process is shows in what it does.
void Notice(long number, long a, long b, long d, long result) {
  constexpr uint64_t kAnyNew = kCloneNewns | kCloneNewuser | kCloneNewpid;
  if (number == nr::clone3 && result == 0) {
    bool birth = role == Role::launcher || role == Role::monitor;
    const uint64_t flags = reinterpret_cast<const CloneArgs*>(a)->flags;
    if (birth) role = (flags & kAnyNew) != 0 ? Role::child : Role::joiner;
    if (role == Role::init) role = Role::program;
  }
  if (number == __NR_prctl && a == static_cast<long>(kPrSetName)) {
    if (Names(b, "ringfort-init")) role = Role::init;
    if (Names(b, "ringfort-files")) role = Role::files;
  }
  if (number == __NR_renameat2 && result == 0 && Names(d, "state.json")) role = Role::monitor;
}

bool IsShortable(long number) {
  return number == __NR_read || number == __NR_write || number == __NR_pread64 ||
         number == __NR_pwrite64;
}

// Whether this call is the one.
bool Hit(Faults& f, long number, uint32_t nth) {
  bool one = f.nth != 0 && static_cast<uint32_t>(role) == f.role && nth == f.nth;
  if (!one && f.everyNumber != number) return false;
  if (f.error == kShort && !IsShortable(number)) return false;
  __atomic_add_fetch(&f.hits, 1, __ATOMIC_SEQ_CST);
  f.hitNumber = static_cast<uint32_t>(number);
  return true;
}

}  // namespace

long Ask(long number, long a, long b, long c, long d, long e, long f) {
  if (faults == nullptr) faults = Open();
  Faults& all = *faults;
  if (number == __NR_exit_group) return Enter(number, a, b, c, d, e, f);
  const auto own = static_cast<uint32_t>(role);
  uint32_t nth = __atomic_add_fetch(&all.counts[own], 1, __ATOMIC_SEQ_CST);
  if (number < kNumbers) all.used[number] = 1;
  bool hit = Hit(all, number, nth);
  if (hit && all.error == kShort && c > 1) c /= 2;
  // close(2) closes, whatever it says.
  if (hit && all.error != kShort && number != __NR_close) return -all.error;
  long result = Enter(number, a, b, c, d, e, f);
  Notice(number, a, b, d, result);
  return hit && all.error != kShort ? -all.error : result;
}

}  // namespace ringfort
