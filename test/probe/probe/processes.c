// Processes: who one is, whom one reaches, what one has been given.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

extern char** environ;

static int attach(char** a) {
  int pid = atoi(a[0]);
  if (ptrace(PTRACE_ATTACH, pid, 0, 0) < 0) return say(-1);
  waitpid(pid, NULL, __WALL);
  return say(ptrace(PTRACE_DETACH, pid, 0, 0));
}

// Of its stdin, so that PID would get SIGIO.
static int set_owner(char** a) { return say(fcntl(0, F_SETOWN, atoi(a[0]))); }

static int ids(char** a) { return printf("%d %d %d\n", getuid(), geteuid(), getegid()) < 0; }

static int session(char** a) { return printf("%d %d %d\n", getpid(), getsid(0), getpgrp()) < 0; }

static int own_session(char** a) {
  puts(getsid(0) == getpid() && getpgrp() == getpid() ? "own" : "ok");
  return 0;
}

static int descriptors(char** a) {
  for (int fd = 0; fd < 4096; fd++)
    if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd);
  return 0;
}

static int environment(char** a) {
  for (char** each = environ; *each != NULL; each++) puts(*each);
  puts(".");
  return 0;
}

// Number of arguments, length of the first: whether they came as they were sent.
static int arguments(char** a) {
  int count = 0;
  while (a[count][0] != 0) count++;
  return printf("%d %zu\n", count, strlen(a[0])) < 0;
}

static int say_first(char** a) { return puts(a[0]) < 0; }

// Until stdin ends.
static int wait_for_end(char** a) {
  char byte;
  say(0);
  fflush(stdout);
  while (read(0, &byte, 1) > 0) continue;
  return 0;
}

static int dumpable(char** a) { return printf("%d\n", prctl(PR_GET_DUMPABLE)) < 0; }

// PROGRAM ARGUMENT…, with a session keyring of their own.
static int in_session(char** a) {
  int count = 0;
  while (a[count][0] != 0) count++;
  a[count] = NULL;
  if (syscall(SYS_keyctl, 1, NULL) < 0) return say(-1);
  return say(execv(a[0], a));
}

static int execute(char** a) { return say(execl(a[0], a[0], a[1], a[2], (char*)NULL)); }

// PID SIGNAL
static int send_signal(char** a) { return say(kill(atoi(a[0]), atoi(a[1]))); }

// A child of the same user that waits to be tried things with.
static pid_t child(void) {
  pid_t pid = fork();
  if (pid == 0)
    for (;;) pause();
  return pid;
}

static int take_descriptor(char** a) {
  int own = atoi(a[0]) == 0;
  pid_t pid = own ? child() : atoi(a[0]);
  int at = (int)syscall(SYS_pidfd_open, pid, 0);
  long got = at < 0 ? -1 : syscall(SYS_pidfd_getfd, at, 0, 0);
  say(got);
  if (own) kill(pid, SIGKILL);
  return 0;
}

static int read_memory(char** a) {
  pid_t pid = child();
  char here = 0;
  struct iovec local = {&here, 1}, remote = {(void*)say_first, 1};
  say(process_vm_readv(pid, &local, 1, &remote, 1, 0));
  kill(pid, SIGKILL);
  return 0;
}

// Limits of another process, its child.
static int limit_other(char** a) {
  pid_t pid = child();
  struct rlimit limit = {64, 64};
  say(prlimit(pid, RLIMIT_NOFILE, &limit, NULL));
  kill(pid, SIGKILL);
  return 0;
}

// RESOURCE VALUE
static int limit_own(char** a) {
  struct rlimit limit = {(rlim_t)atol(a[1]), (rlim_t)atol(a[1])};
  return say(setrlimit(atoi(a[0]), &limit));
}

static int show_limit(char** a) {
  struct rlimit limit;
  if (getrlimit(atoi(a[0]), &limit) < 0) return say(-1);
  return printf("%ld %ld\n", (long)limit.rlim_cur, (long)limit.rlim_max) < 0;
}

// How many of COUNT crashes were dumped, to a file or to the host's handler of core files. Those of
// the second half have tried to lower their limit to 0 first.
static int crashes(char** a) {
  int count = atoi(a[0]), dumped = 0;
  for (int i = 0; i < count; i++) {
    pid_t pid = fork();
    if (pid < 0) return say(-1);
    if (pid == 0) {
      const struct rlimit none = {0, 0};
      if (i >= count / 2) setrlimit(RLIMIT_CORE, &none);
      *(volatile int*)8 = 0;
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status)) return printf("no crash\n") < 0;
    if (WCOREDUMP(status)) dumped++;
  }
  return printf("%d\n", dumped) < 0;
}

static int no_groups(char** a) { return say(setgroups(0, NULL)); }

static int realtime(char** a) {
  struct sched_param param = {1};
  return say(sched_setscheduler(0, SCHED_FIFO, &param));
}

// IOPRIO_CLASS_RT
static int io_realtime(char** a) { return say(syscall(SYS_ioprio_set, 1, 0, 1 << 13)); }

static int nicer(char** a) { return say(setpriority(PRIO_PROCESS, 0, -5)); }

static int on_cpu(char** a) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)atoi(a[0]), &set);
  return say(sched_setaffinity(0, sizeof set, &set));
}

// Leaves a child in a session of its own that writes to FILE after it was orphaned.
static int outlive(char** a) {
  if (fork() != 0) return say(0);
  setsid();
  signal(SIGHUP, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  close(0), close(1), close(2);
  usleep(200000);
  int fd = open(a[0], O_WRONLY | O_CREAT, 0666);
  return fd < 0;
}

const struct attempt process_attempts[] = {
    {"ptrace", attach},
    {"set-owner", set_owner},
    {"ids", ids},
    {"session", session},
    {"own-session", own_session},
    {"fds", descriptors},
    {"environment", environment},
    {"arguments", arguments},
    {"echo", say_first},
    {"sleep", wait_for_end},
    {"dumpable", dumpable},
    {"in-session", in_session},
    {"crashes", crashes},
    {"exec", execute},
    {"kill", send_signal},
    {"pidfd-getfd", take_descriptor},
    {"vm-read", read_memory},
    {"prlimit-other", limit_other},
    {"prlimit", limit_own},
    {"limit", show_limit},
    {"setgroups", no_groups},
    {"realtime", realtime},
    {"io-realtime", io_realtime},
    {"nice", nicer},
    {"cpu", on_cpu},
    {"outlive", outlive},
    {NULL, NULL},
};
