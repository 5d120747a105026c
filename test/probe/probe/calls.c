// Calls into the kernel that a program of a container has no business with.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

static int any_call(char** a) { return say(syscall(atol(a[0]), -1, 0, 0, 0, 0, 0)); }

static int do_unshare(char** a) { return say(unshare((int)strtol(a[0], NULL, 0))); }

static int do_clone(char** a) {
  long pid = syscall(SYS_clone, strtol(a[0], NULL, 0) | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  return say(pid);
}

// TYPE, by default tmpfs
static int do_mount(char** a) {
  return say(mount("none", "/tmp", a[0][0] == 0 ? "tmpfs" : a[0], 0, NULL));
}

// A proc that is mounted by root of a user namespace of its own.
static int mount_own_proc(char** a) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0) return say(-1);
  const pid_t pid = fork();
  if (pid < 0) return say(-1);
  if (pid == 0) return say(mount("none", "/tmp", "proc", 0, NULL));
  waitpid(pid, NULL, 0);
  return 0;
}

static int do_umount(char** a) { return say(umount2(a[0], MNT_DETACH)); }

// FROM TO
static int move_mount_over(char** a) { return say(mount(a[0], a[1], NULL, MS_MOVE, NULL)); }

// DIRECTORY FILE: makes a read-only bind writable and writes into it.
static int remount(char** a) {
  unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV;
  if (mount(NULL, a[0], NULL, flags, NULL) < 0) return say(-1);
  return say(open(a[1], O_WRONLY | O_CREAT, 0666));
}

static int look_at_tree(char** a) { return say(syscall(SYS_open_tree, AT_FDCWD, "/", 0)); }

static int personality(char** a) { return say(syscall(SYS_personality, strtoul(a[0], NULL, 0))); }

static int add_key(char** a) { return say(syscall(SYS_add_key, "user", "ringfort", "x", 1, -3)); }

static int session_keyring(char** a) { return printf("%ld\n", syscall(SYS_keyctl, 0, -3, 0)) < 0; }

static int keyctl(char** a) { return say(syscall(SYS_keyctl, 0, -3, 0)); }

static int perf(char** a) {
  struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attr};
  attr.config = PERF_COUNT_SW_TASK_CLOCK;
  attr.exclude_kernel = attr.exclude_hv = 1;
  return say(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static int io_uring(char** a) {
  char params[120] = {0};
  return say(syscall(SYS_io_uring_setup, 1, params));
}

// UFFD_USER_MODE_ONLY, which needs no right.
static int userfaultfd(char** a) { return say(syscall(SYS_userfaultfd, 1)); }

// BPF_PROG_TYPE_SOCKET_FILTER of `return 0`
static int bpf(char** a) {
  unsigned long code[] = {0xb7, 0x95};
  struct {
    unsigned type, count;
    unsigned long code, license;
    char rest[96];
  } attr = {1, 2, (unsigned long)code, (unsigned long)"GPL", {0}};
  return say(syscall(SYS_bpf, 5, &attr, sizeof attr));
}

static int memfd_secret(char** a) { return say(syscall(SYS_memfd_secret, 0)); }

// Of a size that no machine has: with the call open, that is what is wrong.
static int huge_pages(char** a) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 63 << 26;
  return say(mmap(NULL, 1 << 21, PROT_READ, flags, -1, 0) == MAP_FAILED ? -1 : 0);
}

static int huge_file(char** a) { return say(memfd_create("x", 4)); }  // MFD_HUGETLB

static int vmsplice_pipe(char** a) {
  int ends[2];
  struct iovec piece = {"x", 1};
  return say(pipe(ends) < 0 ? -1 : vmsplice(ends[1], &piece, 1, 0));
}

static int kcmp(char** a) { return say(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0, 1)); }

static int handle(char** a) {
  struct {
    struct file_handle head;
    char rest[128];
  } found = {{128, 0}, {0}};
  int mount_id;
  if (name_to_handle_at(AT_FDCWD, a[0], &found.head, &mount_id, 0) < 0) return say(-1);
  if (a[1][0] == 0) return say(0);
  int at = open(a[0], O_RDONLY);
  return say(syscall(SYS_open_by_handle_at, at, &found.head, O_RDONLY));
}

static int fanotify(char** a) {
  return say(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY));
}

static int dmesg(char** a) {
  char text[64];
  return say(klogctl(3, text, sizeof text));  // SYSLOG_ACTION_READ_ALL
}

// A time that no clock takes: with the call open, that is what is wrong.
static int set_clock(char** a) {
  struct timespec never = {0, -1};
  return say(syscall(SYS_clock_settime, CLOCK_REALTIME, &never));
}

static int adjtime_read(char** a) {
  struct timex none = {0};
  return say(adjtimex(&none));
}

static int do_swapon(char** a) { return say(swapon("/nonexistent", 0)); }

static int quota(char** a) { return say(quotactl(QCMD(Q_SYNC, 0), NULL, 0, NULL)); }

static int reboot_nothing(char** a) {
  return say(syscall(SYS_reboot, 0xfee1dead, 672274793, 1, 0));
}

static int load_module(char** a) { return say(syscall(SYS_finit_module, -1, "", 0)); }

static int set_hostname(char** a) { return say(sethostname(a[0], strlen(a[0]))); }

// Into the namespace that descriptor 0 is.
static int setns_stdin(char** a) { return say(setns(0, 0)); }

// Into the own mount namespace.
static int setns_own(char** a) {
  int own = open("/proc/self/ns/mnt", O_RDONLY);
  return say(own < 0 ? -1 : setns(own, CLONE_NEWNS));
}

static int chroot_to(char** a) { return say(chroot(a[0])); }

static int x32(char** a) { return say(syscall(0x40000000 | 39)); }

#ifdef __x86_64__
static int i386(char** a) {
  long result;
  // getpid of 32-bit programs
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
  errno = result < 0 ? (int)-result : 0;
  return say(result < 0 ? -1 : 0);
}

static int do_iopl(char** a) { return say(syscall(SYS_iopl, 0)); }

static int modify_ldt(char** a) {
  char table[16];
  return say(syscall(SYS_modify_ldt, 0, table, sizeof table));
}
#endif

const struct attempt call_attempts[] = {
    {"syscall", any_call},
    {"unshare", do_unshare},
    {"clone", do_clone},
    {"mount", do_mount},
    {"own-proc", mount_own_proc},
    {"umount", do_umount},
    {"move-mount", move_mount_over},
    {"remount", remount},
    {"open-tree", look_at_tree},
    {"personality", personality},
    {"add-key", add_key},
    {"keyring", session_keyring},
    {"keyctl", keyctl},
    {"perf", perf},
    {"io-uring", io_uring},
    {"userfaultfd", userfaultfd},
    {"bpf", bpf},
    {"memfd-secret", memfd_secret},
    {"huge-pages", huge_pages},
    {"huge-file", huge_file},
    {"vmsplice", vmsplice_pipe},
    {"kcmp", kcmp},
    {"handle", handle},
    {"fanotify", fanotify},
    {"dmesg", dmesg},
    {"set-clock", set_clock},
    {"adjtime", adjtime_read},
    {"swapon", do_swapon},
    {"quota", quota},
    {"reboot", reboot_nothing},
    {"module", load_module},
    {"hostname", set_hostname},
    {"setns-stdin", setns_stdin},
    {"setns-own", setns_own},
    {"chroot", chroot_to},
    {"x32", x32},
#ifdef __x86_64__
    {"i386", i386},
    {"iopl", do_iopl},
    {"ldt", modify_ldt},
#endif
    {NULL, NULL},
};
