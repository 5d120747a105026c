// A static program that runs inside containers: `calls first last` makes every system call of these
// numbers with arguments that are all -1, each in a process of its own, and prints a line for each:
// the errno, `succeeds`, `exits`, `blocks` or the signal. `calls int80` makes one as i386 does.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct answer {
  volatile long value;
  volatile int returned;
};

// Without a stack frame: after vfork parent and child return through the same one.
static inline __attribute__((always_inline)) long bad_call(long number) {
  long result = -1;
#if defined(__x86_64__)
  register long r10 __asm__("r10") = -1;
  register long r8 __asm__("r8") = -1;
  register long r9 __asm__("r9") = -1;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(-1L), "S"(-1L), "d"(-1L), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
#endif
  return result;
}

static void make_call(struct answer* answer, long number) {
  const pid_t self = getpid();
  const long value = bad_call(number);
  // The child of a fork, which is none of ours.
  if (syscall(SYS_getpid) != self) syscall(SYS_exit_group, 0);
  answer->value = value;
  answer->returned = 1;
  syscall(SYS_exit_group, 0);
}

static char state_of(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const int fd = open(path, O_RDONLY);
  const ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (size <= 0) return '?';
  text[size] = 0;
  const char* end = strrchr(text, ')');
  return end == NULL || end[1] == 0 ? '?' : end[2];
}

static void pause_ms(long ms) {
  const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

// Waits for the end of the process. One that sleeps for a second, and not on a disk, blocks.
static int wait_for(pid_t pid, int* status) {
  int asleep = 0;
  for (int tries = 0; tries < 30000; tries++) {
    if (waitpid(pid, status, WNOHANG) == pid) return 1;
    if (tries < 100) {
      sched_yield();
      continue;
    }
    pause_ms(5);
    asleep = state_of(pid) == 'S' ? asleep + 1 : 0;
    if (asleep == 200) break;
  }
  kill(pid, SIGKILL);
  waitpid(pid, status, 0);
  return 0;
}

static void try_call(struct answer* answer, long number) {
  *answer = (struct answer){0, 0};
  const pid_t pid = fork();
  if (pid == 0) make_call(answer, number);
  int status;
  const int ended = pid > 0 && wait_for(pid, &status);
  if (pid < 0)
    printf("%ld fork: %s\n", number, strerrorname_np(errno));
  else if (!ended)
    printf("%ld %s\n", number, answer->returned ? "returns late" : "blocks");
  else if (WIFSIGNALED(status))
    printf("%ld SIG%s\n", number, sigabbrev_np(WTERMSIG(status)));
  else if (!answer->returned)
    printf("%ld exits\n", number);
  else if (answer->value < 0 && answer->value >= -4095)
    printf("%ld %s\n", number, strerrorname_np((int)-answer->value));
  else
    printf("%ld succeeds\n", number);
}

static int int80(void) {
#if defined(__x86_64__)
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "r8", "r9", "r10", "r11", "memory");
  puts(result < 0 ? strerrorname_np(-result) : "succeeds");
#endif
  return 0;
}

int main(int argc, char** argv) {
  if (argc > 1 && !strcmp(argv[1], "int80")) return int80();
  if (argc < 3) return 2;
  struct answer* answer =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (answer == MAP_FAILED) return 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  const long last = strtol(argv[2], NULL, 0);
  for (long number = strtol(argv[1], NULL, 0); number <= last; number++) try_call(answer, number);
  return 0;
}
