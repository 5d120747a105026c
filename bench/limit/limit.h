// The limit: what a container with ringfort's default walls costs when a small resident C program
// makes it, with nothing between it and the kernel. It does what the default plan does, in as few
// calls as a C programmer would need; what it is to do on this host comes in a file that
// bench/limitFacts.ts writes from that plan.
#pragma once
#include <stdint.h>

#define MAX_ITEMS 64
#define MAX_SLOTS 64

struct pair {
  const char *a, *b;
};

// A list of lines of one kind.
struct list {
  struct pair at[MAX_ITEMS];
  int count;
};

// One cgroup hierarchy: the container's cgroup is made in `parent`.
struct tree {
  int parent;
  int unified;
  struct list set;   // file, value
  struct list read;  // file
};

struct facts {
  struct tree tree[4];
  int trees;
  struct list directory, file, link;  // of the host root: shown, or made
  struct list own;                    // files with text
  struct list mkdir;                  // of the root, after what is shown
  struct list mask, readonly;
  struct list landlock;  // path, access
  struct list rlimit;    // resource, "soft hard"
  const char* map;
  const char* program;
  const void* filter;
  int filter_size;
  uint64_t landlock_fs, landlock_scoped;
};

extern struct facts facts;

// One container on its way.
struct slot {
  int pid, pidfd, sync, oom, net;
  unsigned number;
};

// When what was done, ns: of the last container, shared with its process.
enum { BEGUN, CGROUPS, CLONED, ATTENDED, PIVOTED, WALLED, ENDED, READ, STAMPS };
extern uint64_t* stamps;
// limit.c
void stamp(int what);

// facts.c
void read_facts(const char* path);
// home.c: a mount namespace of an empty root, proc, sys and the host's /usr, /etc and devices.
void make_home(void);
void make_nets(int count);
int net_of(int index);
// child.c
_Noreturn void child(int sync, const int* tasks, int pooled);
// enter.c: what the last process does before its program.
_Noreturn void enter_program(int ruleset);
void drop_capabilities(void);
// exec.c: one more program in the container whose first process is `pid`; ns.
void exec_inside(int pid);

#define MUST(call)                                   \
  ({                                                 \
    long result_ = (long)(call);                     \
    if (result_ < 0) die(#call, __FILE__, __LINE__); \
    result_;                                         \
  })
_Noreturn void die(const char* what, const char* file, int line);
void put(int dir, const char* path, const char* text);
