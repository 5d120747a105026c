// What a compiler expects of a program without a C library: an entry point and four functions.
#ifdef RINGFORT_FREESTANDING
#include "launcher/syscalls.h"

// The compiler must not turn these loops into calls of the very functions they define.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

extern "C" {

void* memcpy(void* to, const void* from, size_t size) {
  auto* d = static_cast<unsigned char*>(to);
  auto* s = static_cast<const unsigned char*>(from);
  while (size-- > 0) *d++ = *s++;
  return to;
}

void* memmove(void* to, const void* from, size_t size) {
  auto* d = static_cast<unsigned char*>(to);
  auto* s = static_cast<const unsigned char*>(from);
  if (d <= s) return memcpy(to, from, size);
  while (size-- > 0) d[size] = s[size];
  return to;
}

void* memset(void* at, int value, size_t size) {
  auto* d = static_cast<unsigned char*>(at);
  while (size-- > 0) *d++ = static_cast<unsigned char>(value);
  return at;
}

int memcmp(const void* a, const void* b, size_t size) {
  auto* x = static_cast<const unsigned char*>(a);
  auto* y = static_cast<const unsigned char*>(b);
  for (; size-- > 0; x++, y++)
    if (*x != *y) return *x < *y ? -1 : 1;
  return 0;
}

int main();

[[noreturn, gnu::used]] void StartLauncher() { ringfort::Exit(main()); }

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n  xor %ebp,%ebp\n  and $-16,%rsp\n  call StartLauncher\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n  mov x29,#0\n  mov x30,#0\n  bl StartLauncher\n");
#endif
}
#endif
