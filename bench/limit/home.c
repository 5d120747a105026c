// Surroundings, made once: a small mount namespace, so that a launch does not copy the host's
// mounts.
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limit.h"

static int nets[MAX_SLOTS];

void make_home(void) {
  MUST(unshare(CLONE_NEWNS));
  MUST(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
  MUST(mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
  const char* const names[] = {"proc", "sys", "usr", "etc", "dev", "new", "empty"};
  MUST(chdir("/mnt"));
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) MUST(mkdir(names[i], 0755));
  MUST(mount("proc", "proc", "proc", 0, 0));
  MUST(mount("sysfs", "sys", "sysfs", 0, 0));
  MUST(mount("/usr", "usr", 0, MS_BIND | MS_REC, 0));
  MUST(mount("/etc", "etc", 0, MS_BIND | MS_REC, 0));
  MUST(mount("/dev", "dev", 0, MS_BIND, 0));
  MUST(syscall(SYS_pivot_root, ".", "."));
  MUST(umount2(".", MNT_DETACH));
  MUST(chdir("/"));
}

void make_nets(int count) {
  int own = MUST(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < count; i++) {
    MUST(unshare(CLONE_NEWNET));
    nets[i] = MUST(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    int fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    MUST(ioctl(fd, SIOCSIFFLAGS, &lo));
    close(fd);
  }
  MUST(setns(own, CLONE_NEWNET));
}

int net_of(int index) { return nets[index]; }
