// Files, directories and mounts.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "probe.h"

static int write_to(char** a) {
  int fd = open(a[0], O_WRONLY);
  if (fd < 0) return say(-1);
  return say(write(fd, a[1], strlen(a[1])));
}

static int make(char** a) { return say(open(a[0], O_WRONLY | O_CREAT, 0666)); }

// And removes it again.
static int make_directory(char** a) {
  int made = mkdir(a[0], 0777);
  say(made);
  return made == 0 && rmdir(a[0]) < 0;
}

// Tries each path: the first that can be opened is the answer, else the last errno.
static int open_any(char** a, int flags) {
  for (; a[0][0] != 0; a++) {
    int fd = open(a[0], flags | O_NONBLOCK);
    if (fd >= 0) return printf("ok %s\n", a[0]) < 0;
  }
  return say(-1);
}
static int open_read(char** a) { return open_any(a, O_RDONLY); }
static int open_write(char** a) { return open_any(a, O_WRONLY); }

// Which of these has bytes, or entries, to be read.
static int find_content(char** a) {
  for (; a[0][0] != 0; a++) {
    char byte;
    int fd = open(a[0], O_RDONLY | O_NONBLOCK);
    if (fd < 0) continue;
    if (read(fd, &byte, 1) == 1) return printf("ok %s\n", a[0]) < 0;
    DIR* dir = fdopendir(fd);
    for (struct dirent* each; dir != NULL && (each = readdir(dir)) != NULL;)
      if (each->d_name[0] != '.') return printf("ok %s\n", a[0]) < 0;
  }
  puts("nothing");
  return 0;
}

static int show(char** a) {
  char text[4096];
  int fd = open(a[0], O_RDONLY);
  ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text);
  return size < 0 ? say(-1) : fwrite(text, 1, (size_t)size, stdout) == 0;
}

static int compare_names(const struct dirent** a, const struct dirent** b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int list(char** a) {
  struct dirent** names;
  int count = scandir(a[0], &names, NULL, compare_names);
  if (count < 0) return say(-1);
  for (int i = 2; i < count; i++) printf("%s ", names[i]->d_name);
  puts("");
  return 0;
}

// [ROOT]: whether something lies above the root, which is ROOT first, for who holds it open while
// it gives itself another.
static int climb(char** a) {
  struct stat root, here, up;
  if (a[0][0] != 0 && chroot(a[0]) < 0) return say(-1);
  int kept = open("/", O_PATH | O_DIRECTORY);
  if (kept < 0 || fstat(kept, &root) < 0 || chroot("/tmp") < 0 || fchdir(kept) < 0) return say(-1);
  for (here = root;; here = up) {
    if (chdir("..") < 0 || stat(".", &up) < 0) return say(-1);
    if (here.st_ino == up.st_ino && here.st_dev == up.st_dev) break;
  }
  puts(here.st_ino == root.st_ino && here.st_dev == root.st_dev ? "nothing" : "ok");
  return 0;
}

// [ROOT]: whether the working directory lies outside of the root, which is ROOT first.
static int outside(char** a) {
  struct stat root, here, up;
  if (a[0][0] != 0 && (unshare(CLONE_NEWUSER) < 0 || chroot(a[0]) < 0)) return say(-1);
  if (stat("/", &root) < 0 || stat(".", &here) < 0) return say(-1);
  for (;; here = up) {
    if (here.st_ino == root.st_ino && here.st_dev == root.st_dev) break;
    if (chdir("..") < 0 || stat(".", &up) < 0) return say(-1);
    if (here.st_ino == up.st_ino && here.st_dev == up.st_dev) {
      puts("ok");
      return 0;
    }
  }
  puts("nothing");
  return 0;
}

static int make_device(char** a) {
  return say(mknod(a[0], S_IFCHR | 0666, makedev((unsigned)atoi(a[1]), (unsigned)atoi(a[2]))));
}

static int type_of(char** a) {
  struct stat st;
  if (stat(a[0], &st) < 0) return say(-1);
  return printf("%o %u:%u\n", st.st_mode & S_IFMT, major(st.st_rdev), minor(st.st_rdev)) < 0;
}

// PATH MODE
static int change_mode(char** a) { return say(chmod(a[0], (mode_t)strtol(a[1], NULL, 8))); }

// TARGET PATH
static int make_link(char** a) { return say(symlink(a[0], a[1])); }

// DIRECTORY TARGET: forever makes DIRECTORY/swap in turn a directory, with a file and a directory
// in it, and a link to TARGET.
static int swap(char** a) {
  if (chdir(a[0]) < 0 || mkdir("real", 0777) < 0 || symlink(a[1], "link") < 0) return say(-1);
  if (open("real/sentinel", O_CREAT | O_WRONLY, 0666) < 0) return say(-1);
  if (mkdir("real/made", 0777) < 0) return say(-1);
  puts("ready");
  fflush(stdout);
  for (;;) {
    rename("real", "swap");
    rename("swap", "real");
    rename("link", "swap");
    rename("swap", "link");
  }
}

const struct attempt file_attempts[] = {
    {"write", write_to},
    {"make", make},
    {"mkdir", make_directory},
    {"open-read", open_read},
    {"open-write", open_write},
    {"content", find_content},
    {"show", show},
    {"list", list},
    {"climb", climb},
    {"outside", outside},
    {"mknod", make_device},
    {"type", type_of},
    {"chmod", change_mode},
    {"symlink", make_link},
    {"swap", swap},
    {NULL, NULL},
};
