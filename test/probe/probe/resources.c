// What a guest can use up. Each takes COUNT and says `ok` when it got that many.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

static int forks(char** a) {
  for (int i = atoi(a[0]); i > 0; i--) {
    pid_t pid = fork();
    if (pid < 0) return say(-1);
    if (pid == 0)
      for (;;) pause();
  }
  return say(0);
}

// COUNT MiB
static int memory(char** a) {
  size_t size = (size_t)atol(a[0]) << 20;
  char* at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return say(-1);
  for (size_t i = 0; i < size; i += 4096) at[i] = 1;
  return say(0);
}

// COUNT KiB into a file of DIRECTORY
static int fill(char** a) {
  static char piece[65536];
  if (chdir(a[1]) < 0) return say(-1);
  int fd = open("fill", O_WRONLY | O_CREAT, 0666);
  if (fd < 0) return say(-1);
  for (long left = atol(a[0]) * 1024; left > 0;) {
    ssize_t done = write(fd, piece, left < (long)sizeof piece ? (size_t)left : sizeof piece);
    if (done <= 0) return say(-1);
    left -= done;
  }
  return say(0);
}

// COUNT files in DIRECTORY
static int files(char** a) {
  char name[16];
  if (chdir(a[1]) < 0) return say(-1);
  for (int i = atoi(a[0]); i > 0; i--) {
    snprintf(name, sizeof name, "%d", i);
    int fd = open(name, O_WRONLY | O_CREAT, 0666);
    if (fd < 0) return say(-1);
    close(fd);
  }
  return say(0);
}

static int open_files(char** a) {
  for (int i = atoi(a[0]); i > 0; i--)
    if (open("/dev/null", O_RDONLY) < 0) return say(-1);
  return say(0);
}

static int terminals(char** a) {
  for (int i = atoi(a[0]); i > 0; i--)
    if (open("/dev/ptmx", O_RDWR | O_NOCTTY) < 0) return say(-1);
  return say(0);
}

static int inotifies(char** a) {
  for (int i = atoi(a[0]); i > 0; i--)
    if (inotify_init() < 0) return say(-1);
  return say(0);
}

static int queue(char** a) { return say(mq_open("/ringfort", O_RDWR | O_CREAT, 0600, NULL)); }

// One context for COUNT events.
static int async_io(char** a) {
  unsigned long context = 0;
  return say(syscall(SYS_io_setup, atoi(a[0]), &context));
}

static int pending(char** a) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (int i = atoi(a[0]); i > 0; i--)
    if (sigqueue(getpid(), SIGRTMIN, (union sigval){0}) < 0) return say(-1);
  return say(0);
}

// COUNT KiB
static int lock_memory(char** a) {
  size_t size = (size_t)atol(a[0]) << 10;
  void* at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return say(mlock(at, size));
}

// Children that nobody waits for: how many of COUNT are still there as zombies after a while.
static int orphans(char** a) {
  for (int i = atoi(a[0]); i > 0; i--) {
    pid_t middle = fork();
    if (middle < 0) return say(-1);
    if (middle == 0) {
      if (fork() == 0) usleep(10000);
      _exit(0);
    }
    waitpid(middle, NULL, 0);
  }
  int zombies = 0;
  // As pid 1 nobody else would wait for them.
  for (int tries = getpid() == 1 ? 1 : 1000; tries > 0; tries--) {
    zombies = 0;
    DIR* proc = opendir("/proc");
    for (struct dirent* each; proc != NULL && (each = readdir(proc)) != NULL;) {
      char path[300], text[512] = "";
      snprintf(path, sizeof path, "/proc/%s/stat", each->d_name);
      int fd = atoi(each->d_name) > 0 ? open(path, O_RDONLY) : -1;
      if (fd < 0) continue;
      if (read(fd, text, sizeof text - 1) > 0 && strstr(text, ") Z ") != NULL) zombies++;
      close(fd);
    }
    closedir(proc);
    if (zombies == 0) break;
    usleep(20000);
  }
  return printf("%d\n", zombies) < 0;
}

// KEY, with a third argument it is made and kept until stdin ends.
static int shared_memory(char** a) {
  key_t key = (key_t)strtol(a[0], NULL, 0);
  int id = shmget(key, 4096, a[1][0] == 0 ? 0 : IPC_CREAT | 0666);
  say(id);
  if (a[1][0] == 0) return 0;
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  return shmctl(id, IPC_RMID, NULL) < 0;
}

// N segments of System V shared memory that nobody attaches.
static int segments(char** a) {
  for (int i = atoi(a[0]); i > 0; i--)
    if (shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) < 0) return say(-1);
  return say(0);
}

const struct attempt resource_attempts[] = {
    {"forks", forks},       {"memory", memory},         {"fill", fill},
    {"files", files},       {"open-files", open_files}, {"terminals", terminals},
    {"inotify", inotifies}, {"queue", queue},           {"aio", async_io},
    {"pending", pending},   {"mlock", lock_memory},     {"orphans", orphans},
    {"shm", shared_memory}, {"segments", segments},     {NULL, NULL},
};
