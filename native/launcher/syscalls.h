// Raw system calls: they return the kernel's value or a negative errno and touch no libc state, so
// they may be used between clone and exec.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "launcher/kernel.h"

namespace ringfort {

inline long Enter(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
#else
#error "ringfort supports x86_64 and aarch64"
#endif
}

#ifdef RINGFORT_STOPS
// test/native/faults.cc: the kernel's answer, but for a call that a test wants to fail.
long Ask(long number, long a, long b, long c, long d, long e, long f);
#else
inline long Ask(long number, long a, long b, long c, long d, long e, long f) {
  return Enter(number, a, b, c, d, e, f);
}
#endif

// A call that was interrupted is made again. But for close(2): the descriptor is gone by then, and
// may be somebody else's already.
inline long Sys(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                long f = 0) {
  long result;
  do result = Ask(number, a, b, c, d, e, f);
  while (result == -kEintr && number != __NR_close);
  return result;
}

template <typename T>
inline long P(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

// What there may be enough of a moment later: memory, descriptors, room.
inline bool IsShortage(long error) {
  return error == -kEagain || error == -kEnomem || error == -kEnfile || error == -kEmfile ||
         error == -kEnospc || error == -kEnobufs || error == -kEtoomanyrefs;
}

// For what must be done even where something is short for a moment: a report, an end that is to be
// seen, what has been undone and is to be forgotten. `answer` is the one error that is no want, but
// says how things are; 0: there is none. Any other error lasts, as a rule: it is believed when it
// comes twice, and nobody waits for it to pass.
inline long Insist(long answer, long number, long a = 0, long b = 0, long c = 0, long d = 0,
                   long e = 0) {
  constexpr int kTries = 20;
  for (int tries = 1, lasting = 0;; tries++) {
    long result = Sys(number, a, b, c, d, e);
    if (result >= 0 || result == -answer || tries == kTries) return result;
    if (!IsShortage(result)) {
      if (++lasting == 2) return result;
      continue;
    }
    TimeSpec pause = {0, 1000000};
    Sys(__NR_ppoll, 0, 0, P(&pause), 0, kSigsetSize);
  }
}

inline int OpenAt2(int dir, const char* path, uint64_t flags, uint64_t resolve, uint64_t mode = 0) {
  OpenHow how{flags | kOCloexec, mode, resolve};
  for (int tries = 0;; tries++) {
    long fd = Sys(nr::openat2, dir, P(path), P(&how), sizeof how);
    // A concurrent rename made the walk uncertain (openat2(2)).
    if (fd == -kEagain && tries < 128) continue;
    return static_cast<int>(fd);
  }
}

inline long Close(int fd) { return Sys(__NR_close, fd); }

inline long Write(int fd, const void* data, size_t size) {
  return Sys(__NR_write, fd, P(data), static_cast<long>(size));
}

inline long Read(int fd, void* data, size_t size) {
  return Sys(__NR_read, fd, P(data), static_cast<long>(size));
}

inline void* Map(size_t size, bool shared) {
  constexpr long kReadWrite = 3, kShared = 1, kPrivate = 2, kAnonymous = 0x20, kNoreserve = 0x4000;
  long at = Sys(__NR_mmap, 0, static_cast<long>(size), kReadWrite,
                (shared ? kShared | kNoreserve : kPrivate) | kAnonymous, -1, 0);
  return at < 0 && at > -4096 ? nullptr : reinterpret_cast<void*>(at);
}

// The shared memory behind a memfd.
inline void* MapShared(int fd, size_t size) {
  constexpr long kReadWrite = 3, kShared = 1;
  long at = Sys(__NR_mmap, 0, static_cast<long>(size), kReadWrite, kShared, fd, 0);
  return at < 0 && at > -4096 ? nullptr : reinterpret_cast<void*>(at);
}

// Leaves it out of every process that is cloned from now on.
inline void KeepFromChildren(void* at, size_t size) {
  constexpr long kDontFork = 10;
  Sys(__NR_madvise, P(at), static_cast<long>(size), kDontFork);
}

// The page of shared memory is there still, empty and without memory behind it.
inline void GiveBack(void* at, size_t size) {
  constexpr long kRemove = 9;
  Sys(__NR_madvise, P(at), static_cast<long>(size), kRemove);
}

inline void Unmap(void* at, size_t size) { Sys(__NR_munmap, P(at), static_cast<long>(size)); }

// The same shared memory a second time (mremap(2), an old size of 0), and that for children.
inline void* MapForChildren(void* at, size_t size) {
  constexpr long kMayMove = 1, kDoFork = 11;
  long copy = Sys(__NR_mremap, P(at), 0, static_cast<long>(size), kMayMove);
  if (copy < 0 && copy > -4096) return nullptr;
  if (Sys(__NR_madvise, copy, static_cast<long>(size), kDoFork) == 0)
    return reinterpret_cast<void*>(copy);
  Unmap(reinterpret_cast<void*>(copy), size);
  return nullptr;
}

[[noreturn]] inline void Exit(int code) {
  Sys(__NR_exit_group, code);
  __builtin_trap();  // a guest's filter has denied even that
}

constexpr uint64_t kDefault = 0, kIgnore = 1;  // SIG_DFL and SIG_IGN, see sigaction(2)

inline long Handle(long signal, uint64_t handler, uint64_t flags = 0) {
  struct {
    uint64_t handler, flags, restorer, mask;
  } action = {handler, flags, 0, 0};
  return Sys(__NR_rt_sigaction, signal, P(&action), 0, kSigsetSize);
}

inline void Zero(void* at, size_t size) {
  auto* bytes = static_cast<volatile unsigned char*>(at);
  for (size_t i = 0; i < size; i++) bytes[i] = 0;
}

inline size_t Length(const char* text) {
  size_t n = 0;
  while (text[n] != 0) n++;
  return n;
}

inline bool Equal(const void* a, const void* b, size_t size) {
  auto* x = static_cast<const unsigned char*>(a);
  auto* y = static_cast<const unsigned char*>(b);
  for (size_t i = 0; i < size; i++)
    if (x[i] != y[i]) return false;
  return true;
}

}  // namespace ringfort
