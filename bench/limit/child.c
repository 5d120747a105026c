// The container's first process: mounts, names, walls. What it does and in which order is
// lib/policy/order.ts.
#include <fcntl.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

#define QUIET (MS_NOSUID | MS_NODEV | MS_NOEXEC)

// "/etc/x" of the root in the making: new/etc/x. One buffer a call.
static const char* in(const char* path) {
  static char text[4096];
  strcpy(text, "/new");
  strcpy(text + 4, path);
  return text;
}

static void make_file(const char* path, const char* text) {
  int fd = MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (*text != 0) MUST(write(fd, text, strlen(text)));
  close(fd);
}

static void attr(const char* path, unsigned flags, uint64_t set, uint64_t clear) {
  struct mount_attr attr = {.attr_set = set, .attr_clr = clear, .propagation = MS_PRIVATE};
  MUST(syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attr, sizeof attr));
}

static void become_root(void) {
  MUST(syscall(SYS_setgroups, 0, 0));
  MUST(syscall(SYS_setresgid, 0, 0, 0));
  MUST(syscall(SYS_setresuid, 0, 0, 0));
  MUST(prctl(PR_SET_DUMPABLE, 0));
  MUST(syscall(SYS_keyctl, 1, 0));
}

static void make_root(void) {
  MUST(mount("tmpfs", "/new", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=4k,mode=755"));
  MUST(mkdir("/new/etc", 0755));
  for (int i = 0; i < facts.directory.count; i++) {
    const char *from = facts.directory.at[i].a, *to = in(from);
    MUST(mkdir(to, 0755));
    MUST(mount(from, to, 0, MS_BIND | MS_REC, 0));
  }
  for (int i = 0; i < facts.file.count; i++) {
    const char *from = facts.file.at[i].a, *to = in(from);
    make_file(to, "");
    MUST(mount(from, to, 0, MS_BIND | MS_REC, 0));
  }
  for (int i = 0; i < facts.link.count; i++)
    MUST(symlink(facts.link.at[i].a, in(facts.link.at[i].b)));
  for (int i = 0; i < facts.own.count; i++) make_file(in(facts.own.at[i].a), facts.own.at[i].b);
  for (int i = 0; i < facts.mkdir.count; i++) MUST(mkdir(in(facts.mkdir.at[i].a), 0755));
  attr("/new", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
}

static void make_dev(void) {
  static const char* const names[] = {"null", "zero", "full", "random", "urandom", "tty"};
  static const struct pair links[] = {{"/proc/self/fd", "/new/dev/fd"},
                                      {"/proc/self/fd/0", "/new/dev/stdin"},
                                      {"/proc/self/fd/1", "/new/dev/stdout"},
                                      {"/proc/self/fd/2", "/new/dev/stderr"},
                                      {"pts/ptmx", "/new/dev/ptmx"}};
  MUST(
      mount("tmpfs", "/new/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k,nr_inodes=1k"));
  for (int i = 0; i < 6; i++) {
    char from[32], to[32];
    sprintf(from, "/dev/%s", names[i]);
    sprintf(to, "/new/dev/%s", names[i]);
    make_file(to, "");
    MUST(mount(from, to, 0, MS_BIND, 0));
  }
  for (int i = 0; i < 5; i++) MUST(symlink(links[i].a, links[i].b));
  attr("/new/dev", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0);
  attr("/new/dev", 0, 0, MOUNT_ATTR_RDONLY);
  MUST(mkdir("/new/dev/pts", 0755));
  MUST(mount("devpts", "/new/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
             "newinstance,ptmxmode=0666,mode=0620,max=256"));
  MUST(mkdir("/new/dev/shm", 0755));
  MUST(mount("shm", "/new/dev/shm", "tmpfs", QUIET, "mode=1777,size=64m,nr_inodes=16k"));
  MUST(mkdir("/new/dev/mqueue", 0755));
  MUST(mount("mqueue", "/new/dev/mqueue", "mqueue", QUIET, 0));
}

static void make_mounts(int pooled) {
  MUST(mount("proc", "/new/proc", "proc", QUIET, 0));
  make_dev();
  // A pooled net namespace belongs to another user namespace, whose sysfs may only be shown.
  if (pooled) {
    MUST(mount("/sys", "/new/sys", 0, MS_BIND, 0));
    attr("/new/sys", 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
  } else {
    MUST(mount("sysfs", "/new/sys", "sysfs", QUIET | MS_RDONLY, 0));
  }
  static const struct pair places[] = {{"/new/tmp", "mode=1777,size=64m,nr_inodes=16k"},
                                       {"/new/var/tmp", "mode=1777,size=64m,nr_inodes=16k"},
                                       {"/new/run", "mode=755,size=64m,nr_inodes=16k"},
                                       {"/new/root", "mode=700,size=64m,nr_inodes=16k"}};
  for (int i = 0; i < 4; i++)
    MUST(mount("tmpfs", places[i].a, "tmpfs", MS_NOSUID | MS_NODEV, places[i].b));
}

static void make_names(int pooled) {
  put(AT_FDCWD, "/proc/sys/user/max_inotify_instances", "64");
  put(AT_FDCWD, "/proc/sys/user/max_inotify_watches", "4096");
  MUST(sethostname("limit", 5));
  if (pooled) return;
  int fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  MUST(ioctl(fd, SIOCSIFFLAGS, &lo));
  close(fd);
}

static void cover(void) {
  MUST(mount("tmpfs", "/empty", "tmpfs", QUIET, "size=1m,nr_inodes=8k,mode=755"));
  attr("/empty", 0, MOUNT_ATTR_RDONLY, 0);
  for (int i = 0; i < facts.mask.count; i++) {
    const char* path = in(facts.mask.at[i].a);
    struct stat st;
    if (lstat(path, &st) != 0) continue;
    MUST(mount(S_ISDIR(st.st_mode) ? "/empty" : "/new/dev/null", path, 0, MS_BIND, 0));
  }
  for (int i = 0; i < facts.readonly.count; i++) {
    const char* path = in(facts.readonly.at[i].a);
    if (mount(path, path, 0, MS_BIND | MS_REC, 0) != 0) continue;
    attr(path, AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0);
  }
}

static int make_ruleset(void) {
  struct {
    uint64_t fs, net, scoped;
  } rules = {facts.landlock_fs, 0, facts.landlock_scoped};
  int ruleset = MUST(syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0));
  for (int i = 0; i < facts.landlock.count; i++) {
    struct landlock_path_beneath_attr rule = {
        strtoull(facts.landlock.at[i].b, 0, 0),
        MUST(open(facts.landlock.at[i].a, O_PATH | O_CLOEXEC))};
    MUST(syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0));
    close(rule.parent_fd);
  }
  return ruleset;
}

// pid 1: waits for the program and ends with it.
static _Noreturn void init(int pid) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close_range(0, ~0u, 0);
  drop_capabilities();
  int status = 0;
  while (waitpid(-1, &status, 0) != pid) continue;
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

_Noreturn void child(int sync, const int* tasks, int pooled) {
  for (int i = 0; i < facts.trees; i++)
    if (tasks[i] >= 0) {
      MUST(write(tasks[i], "0", 1));
      close(tasks[i]);
    }
  char go;
  if (read(sync, &go, 1) != 1) _exit(70);
  MUST(unshare(CLONE_NEWCGROUP));
  become_root();
  make_root();
  make_mounts(pooled);
  make_names(pooled);
  cover();
  MUST(chdir("/new"));
  MUST(syscall(SYS_pivot_root, ".", "."));
  stamp(PIVOTED);
  MUST(umount2(".", MNT_DETACH));
  MUST(chdir("/"));
  int ruleset = make_ruleset();
  int pid = MUST(fork());
  if (pid != 0) init(pid);
  enter_program(ruleset);
}
