// Namespaces, pidfds, privileges and limits. Everything here acts on the calling thread or on a
// process that is named by number or descriptor; lib/sys says which at each function.
#include <sys/syscall.h>
#include <unistd.h>

#include "addon/sys.h"
#include "syscall_numbers.h"

namespace ringfort {
namespace {

constexpr uint32_t kCapabilityVersion3 = 0x20080522;
constexpr unsigned kSeccompSetModeFilter = 1;
constexpr unsigned kLandlockCreateRulesetVersion = 1;
constexpr size_t kBpfInstructionSize = 8;

struct CapHeader {
  uint32_t version;
  int32_t pid;
};

struct FilterProgram {  // struct sock_fprog of linux/filter.h
  uint16_t count;
  const void* instructions;
};

int64_t Unshare(uint32_t flags) {
  return Result(syscall(SYS_unshare, static_cast<unsigned long>(flags)));
}

int64_t Setns(int32_t fd, uint32_t type) { return Result(syscall(SYS_setns, fd, type)); }

int64_t Sethostname(const Text& name) {
  return Result(syscall(SYS_sethostname, name.get(), name.value.size()));
}

int64_t Setdomainname(const Text& name) {
  return Result(syscall(SYS_setdomainname, name.get(), name.value.size()));
}

int64_t PidfdOpen(int32_t pid, uint32_t flags) {
  return Result(syscall(nr::pidfd_open, pid, flags));
}

int64_t PidfdSendSignal(int32_t pidfd, int32_t signal) {
  return Result(syscall(nr::pidfd_send_signal, pidfd, signal, nullptr, 0u));
}

int64_t Prctl(int32_t option, uint64_t arg2, uint64_t arg3, uint64_t arg4, uint64_t arg5) {
  return Result(syscall(SYS_prctl, option, static_cast<unsigned long>(arg2),
                        static_cast<unsigned long>(arg3), static_cast<unsigned long>(arg4),
                        static_cast<unsigned long>(arg5)));
}

// two struct __user_cap_data_struct: effective, permitted, inheritable; low half first
int64_t Capget(int32_t pid, Words<uint32_t, 6> data) {
  CapHeader header = {kCapabilityVersion3, pid};
  return Result(syscall(SYS_capget, &header, data.data));
}

int64_t Capset(Words<uint32_t, 6> data) {
  CapHeader header = {kCapabilityVersion3, 0};
  return Result(syscall(SYS_capset, &header, data.data));
}

int64_t SeccompSetModeFilter(uint32_t flags, Bytes filter) {
  size_t count = filter.size / kBpfInstructionSize;
  if (filter.size % kBpfInstructionSize != 0 || count > std::numeric_limits<uint16_t>::max()) {
    return -EINVAL;
  }
  FilterProgram program = {static_cast<uint16_t>(count), filter.data};
  return Result(syscall(SYS_seccomp, kSeccompSetModeFilter, flags, &program));
}

// With this flag the result is a descriptor, else 0.
constexpr unsigned kNewListener = 8;

template <auto Function>
struct Listening {
  static Napi::Value Run(const Napi::CallbackInfo& info) {
    bool opens = info[0].IsNumber() && (info[0].As<Napi::Number>().Uint32Value() & kNewListener);
    return opens ? Opening<Function>::Run(info) : Callback<Function>::Run(info);
  }
};

// struct rlimit64: soft, hard
int64_t Prlimit(int32_t pid, uint32_t resource, Words<uint64_t, 2> fresh, Words<uint64_t, 2> old) {
  return Result(syscall(SYS_prlimit64, pid, resource, fresh.data, old.data));
}

int64_t LandlockAbi() {
  return Result(
      syscall(nr::landlock_create_ruleset, nullptr, size_t{0}, kLandlockCreateRulesetVersion));
}

}  // namespace

void AddProcessCalls(Napi::Object sys) {
  Add<Unshare>(sys, "unshare");
  Add<Setns>(sys, "setns");
  Add<Sethostname>(sys, "sethostname");
  Add<Setdomainname>(sys, "setdomainname");
  Add<PidfdOpen, Opening>(sys, "pidfdOpen");
  Add<PidfdSendSignal>(sys, "pidfdSendSignal");
  Add<Prctl>(sys, "prctl");
  Add<Capget>(sys, "capget");
  Add<Capset>(sys, "capset");
  Add<SeccompSetModeFilter, Listening>(sys, "seccompSetModeFilter");
  Add<Prlimit>(sys, "prlimit");
  Add<LandlockAbi>(sys, "landlockAbi");
}

}  // namespace ringfort
