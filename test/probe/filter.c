// `filter program calls`: loads a seccomp filter that denies whatever is tried, makes each of the
// calls (number and six arguments, eight bytes each) and prints what it returned, a line for each.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void* map_file(const char* path, size_t* size) {
  struct stat stats;
  const int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &stats) != 0) exit(1);
  *size = (size_t)stats.st_size;
  void* bytes = mmap(NULL, *size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (bytes == MAP_FAILED) exit(1);
  return bytes;
}

static long make_call(const long* call) {
  long result = 0;
#if defined(__x86_64__)
  register long r10 __asm__("r10") = call[4];
  register long r8 __asm__("r8") = call[5];
  register long r9 __asm__("r9") = call[6];
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(call[0]), "D"(call[1]), "S"(call[2]), "d"(call[3]), "r"(r10), "r"(r8),
                     "r"(r9)
                   : "rcx", "r11", "memory");
#endif
  return result;
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  size_t size, bytes;
  struct sock_filter* code = map_file(argv[1], &size);
  const long* calls = map_file(argv[2], &bytes);
  const size_t count = bytes / (7 * sizeof(long));
  long* results = mmap(NULL, count * sizeof(long), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const struct sock_fprog filter = {(unsigned short)(size / sizeof *code), code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) _exit(1);
    for (size_t i = 0; i < count; i++) results[i] = make_call(calls + 7 * i);
    _exit(0);
  }
  int status;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) return 1;
  for (size_t i = 0; i < count; i++) printf("%ld\n", results[i]);
  return 0;
}
