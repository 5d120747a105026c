// `load rounds filter…`: loads each filter in turn (A B C A B C …), each time in a process of its
// own, and prints what seccomp(2) took, ns: a line for each round, a number for each filter.
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kMostFilters = 16, kMostInstructions = 4096 };

static struct sock_filter code[kMostFilters][kMostInstructions];
static struct sock_fprog filters[kMostFilters];

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void load(struct sock_fprog* filter, volatile long* took) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long before = now();
  const long error = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter);
  const long after = now();
  *took = error == 0 ? after - before : -1;
  _exit(0);
}

int main(int argc, char** argv) {
  const int count = argc - 2;
  if (count < 1 || count > kMostFilters) return 2;
  for (int i = 0; i < count; i++) {
    FILE* file = fopen(argv[i + 2], "rb");
    if (file == NULL) return 1;
    filters[i].len = (unsigned short)fread(code[i], sizeof code[i][0], kMostInstructions, file);
    filters[i].filter = code[i];
    fclose(file);
  }
  long* took = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (took == MAP_FAILED) return 1;
  for (int round = atoi(argv[1]); round > 0; round--) {
    for (int i = 0; i < count; i++) {
      fflush(stdout);
      const pid_t pid = fork();
      if (pid == 0) load(&filters[i], took);
      if (pid < 0 || waitpid(pid, NULL, 0) != pid || *took < 0) return 1;
      printf("%ld ", *took);
    }
    puts("");
  }
  return 0;
}
