// A resident loop. Each line of stdin asks for something and is answered by a line with ns:
//   one         one container, from its beginning until it has ended and its accounts are read
//   many N K    N containers, K in flight, until nothing of them is left
//   exec PID    one more program in the container whose first process is PID
//   trace       one, answered by the ns of each of its parts (limit.h, stamps)
// With `pooled` as second argument containers get a net namespace that is there already.
#include "limit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t* stamps;
static int pooled;
static unsigned last;
static struct slot slots[MAX_SLOTS];

_Noreturn void die(const char* what, const char* file, int line) {
  fprintf(stderr, "limit: %s:%d: %s: %s\n", file, line, what, strerror(errno));
  _exit(70);
}

void put(int dir, const char* path, const char* text) {
  int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) die(path, __FILE__, __LINE__);
  if (write(fd, text, strlen(text)) < 0) die(path, __FILE__, __LINE__);
  close(fd);
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void stamp(int what) { stamps[what] = now(); }

static const char* name(const struct slot* s, const char* file) {
  static char text[256];
  snprintf(text, sizeof text, "ringfort-limit-%d-%u%s%s", getpid(), s->number, *file ? "/" : "",
           file);
  return text;
}

// v1 has no oom.group: somebody must hear of it (cgroup v1 memory.txt, 9 and 10).
static int watch_oom(const struct tree* t, const struct slot* s) {
  int event = MUST(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  int control = MUST(openat(t->parent, name(s, "memory.oom_control"), O_RDONLY | O_CLOEXEC));
  char text[64];
  sprintf(text, "%d %d", event, control);
  put(t->parent, name(s, "cgroup.event_control"), text);
  close(control);
  return event;
}

static void make_cgroups(struct slot* s, int* into, int* tasks) {
  s->oom = -1;
  for (int i = 0; i < facts.trees; i++) {
    const struct tree* t = &facts.tree[i];
    MUST(mkdirat(t->parent, name(s, ""), 0755));
    for (int k = 0; k < t->set.count; k++) put(t->parent, name(s, t->set.at[k].a), t->set.at[k].b);
    if (t->unified) {
      *into = MUST(openat(t->parent, name(s, ""), O_PATH | O_DIRECTORY | O_CLOEXEC));
      continue;
    }
    tasks[i] = MUST(openat(t->parent, name(s, "tasks"), O_WRONLY | O_CLOEXEC));
    if (faccessat(t->parent, name(s, "memory.oom_control"), F_OK, 0) == 0) s->oom = watch_oom(t, s);
  }
}

static void attend(const struct slot* s) {
  char path[64];
  sprintf(path, "/proc/%d/uid_map", s->pid);
  put(AT_FDCWD, path, facts.map);
  sprintf(path, "/proc/%d/gid_map", s->pid);
  put(AT_FDCWD, path, facts.map);
  sprintf(path, "/proc/%d/oom_score_adj", s->pid);
  put(AT_FDCWD, path, "500");
  MUST(write(s->sync, "g", 1));
}

static void start(struct slot* s) {
  int into = -1, tasks[4] = {-1, -1, -1, -1}, sync[2];
  s->number = ++last;
  make_cgroups(s, &into, tasks);
  stamp(CGROUPS);
  MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync));
  if (pooled) MUST(setns(net_of(s - slots), CLONE_NEWNET));
  struct clone_args args = {.exit_signal = SIGCHLD, .pidfd = (uint64_t)&s->pidfd};
  args.flags =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD;
  if (!pooled) args.flags |= CLONE_NEWNET;
  if (into >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = into;
  }
  s->pid = MUST(syscall(SYS_clone3, &args, sizeof args));
  if (s->pid == 0) {
    close(sync[0]);
    child(sync[1], tasks, pooled);
  }
  stamp(CLONED);
  close(sync[1]);
  s->sync = sync[0];
  if (into >= 0) close(into);
  for (int i = 0; i < facts.trees; i++)
    if (tasks[i] >= 0) close(tasks[i]);
  attend(s);
  stamp(ATTENDED);
}

// Waits for one that has ended and reads its accounts.
static struct slot* finish(void) {
  int status, pid = MUST(wait4(-1, &status, 0, 0));
  stamp(ENDED);
  struct slot* s = slots;
  while (s->pid != pid) s++;
  if (status != 0) {
    fprintf(stderr, "limit: a container ended with status %x\n", status);
    _exit(70);
  }
  char text[4096];
  for (int i = 0; i < facts.trees; i++)
    for (int k = 0; k < facts.tree[i].read.count; k++) {
      int fd = MUST(openat(facts.tree[i].parent, name(s, facts.tree[i].read.at[k].a), O_RDONLY));
      MUST(read(fd, text, sizeof text));
      close(fd);
    }
  return s;
}

static void undo(struct slot* s) {
  close(s->pidfd);
  close(s->sync);
  if (s->oom >= 0) close(s->oom);
  s->pid = 0;
  for (int i = 0; i < facts.trees; i++)
    // A cgroup whose last task has just ended may be busy for a moment.
    while (unlinkat(facts.tree[i].parent, name(s, ""), AT_REMOVEDIR) != 0)
      if (errno != EBUSY) die("rmdir", __FILE__, __LINE__);
}

static uint64_t one(void) {
  stamp(BEGUN);
  start(slots);
  struct slot* s = finish();
  stamp(READ);
  undo(s);
  return stamps[READ] - stamps[BEGUN];
}

static uint64_t many(int count, int flight) {
  uint64_t begin = now();
  int started = 0;
  for (; started < flight && started < count; started++) start(&slots[started]);
  for (int ended = 0; ended < count; ended++) {
    struct slot* s = finish();
    undo(s);
    if (started < count) {
      started++;
      start(s);
    }
  }
  return now() - begin;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  read_facts(argv[1]);
  make_home();
  stamps =
      mmap(0, STAMPS * sizeof *stamps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (stamps == MAP_FAILED) die("mmap", __FILE__, __LINE__);
  pooled = argc > 2 && strcmp(argv[2], "pooled") == 0;
  if (pooled) make_nets(MAX_SLOTS);
  char line[64];
  while (fgets(line, sizeof line, stdin) != 0) {
    int a, b;
    uint64_t ns;
    if (sscanf(line, "many %d %d", &a, &b) == 2 && b <= MAX_SLOTS) {
      ns = many(a, b);
    } else if (sscanf(line, "exec %d", &a) == 1) {
      uint64_t begin = now();
      exec_inside(a);
      ns = now() - begin;
    } else {
      ns = one();
    }
    if (strcmp(line, "trace\n") == 0)
      for (int i = BEGUN; i < READ; i++) {
        // The child may be past its next stamp before we have come to ours.
        if (stamps[i + 1] < stamps[i]) stamps[i + 1] = stamps[i];
        printf("%llu ", (unsigned long long)(stamps[i + 1] - stamps[i]));
      }
    printf("%llu\n", (unsigned long long)ns);
    fflush(stdout);
  }
  return 0;
}
