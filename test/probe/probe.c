// A static program that runs inside containers: `probe name [argument]…` makes one attempt and
// prints `ok` or the errno, so that a test needs no image and no shell.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int say(long result) {
  puts(result < 0 ? strerrorname_np(errno) : "ok");
  return 0;
}

static int write_to(const char* path, const char* text) {
  int fd = open(path, O_WRONLY);
  if (fd < 0) return say(-1);
  return say(write(fd, text, strlen(text)));
}

static int with_low_bits_of_high(unsigned long request) {
  // The kernel takes the low 32 bits of an ioctl's request: those above must not hide it.
  return say(syscall(SYS_ioctl, 0, request | 1UL << 32, "x"));
}

static int run(const char* name, const char* a, const char* b) {
  if (!strcmp(name, "syscall")) return say(syscall(atol(a), -1, 0, 0, 0, 0, 0));
  if (!strcmp(name, "write")) return write_to(a, b);
  if (!strcmp(name, "socket")) return say(socket(atoi(a), atoi(b), 0));
  if (!strcmp(name, "tiocsti")) return say(ioctl(0, TIOCSTI, "x"));
  if (!strcmp(name, "tiocsti-high")) return with_low_bits_of_high(TIOCSTI);
  if (!strcmp(name, "tioclinux")) return say(ioctl(0, TIOCLINUX, "\2"));
  if (!strcmp(name, "tioclinux-high")) return with_low_bits_of_high(TIOCLINUX);
  if (!strcmp(name, "unshare")) return say(unshare((int)strtol(a, NULL, 0)));
  if (!strcmp(name, "clone")) {
    long pid = syscall(SYS_clone, strtol(a, NULL, 0) | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    return say(pid);
  }
  if (!strcmp(name, "mount")) return say(mount("none", "/tmp", "tmpfs", 0, NULL));
  if (!strcmp(name, "ptrace")) return say(ptrace(PTRACE_ATTACH, atoi(a), 0, 0));
  if (!strcmp(name, "personality")) return say(syscall(SYS_personality, strtoul(a, NULL, 0)));
  if (!strcmp(name, "keyctl")) return say(syscall(SYS_keyctl, 0, -3, 0));
  if (!strcmp(name, "prlimit")) {
    struct rlimit limit = {(rlim_t)atol(b), (rlim_t)atol(b)};
    return say(setrlimit(atoi(a), &limit));
  }
  if (!strcmp(name, "ids")) return printf("%d %d %d\n", getuid(), geteuid(), getegid()) < 0;
  if (!strcmp(name, "session")) return printf("%d %d %d\n", getpid(), getsid(0), getpgrp()) < 0;
  if (!strcmp(name, "keyring")) return printf("%ld\n", syscall(SYS_keyctl, 0, -3, 0)) < 0;
  if (!strcmp(name, "fds")) {
    for (int fd = 0; fd < 4096; fd++)
      if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd);
    return 0;
  }
  if (!strcmp(name, "dumpable")) return printf("%d\n", prctl(PR_GET_DUMPABLE)) < 0;
  if (!strcmp(name, "exec")) return say(execl(a, a, b, (char*)NULL));
  puts("unknown");
  return 2;
}

int main(int argc, char** argv) {
  return run(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "", argc > 3 ? argv[3] : "");
}
