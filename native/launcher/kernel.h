// Kernel structures and constants that this program uses. Declared here and not taken from the
// build machine's headers, which may be older than the kernel it will run on.
#pragma once
#include <asm/unistd.h>
#include <stdint.h>

#include "syscall_numbers.h"

namespace ringfort {

struct CloneArgs {  // clone(2), struct clone_args, 88 bytes: with cgroup
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
      set_tid_size, cgroup;
};
struct OpenHow {  // openat2(2)
  uint64_t flags, mode, resolve;
};
struct MountAttr {  // mount_setattr(2)
  uint64_t attr_set, attr_clr, propagation, userns_fd;
};
struct LandlockRuleset {  // landlock_create_ruleset(2), ABI 6
  uint64_t handled_access_fs, handled_access_net, scoped;
};
struct LandlockPathBeneath {  // landlock_add_rule(2)
  uint64_t allowed_access;
  int32_t parent_fd;
} __attribute__((packed));
struct CapHeader {  // capset(2)
  uint32_t version;
  int32_t pid;
};
struct CapData {
  uint32_t effective, permitted, inheritable;
};
struct SockFprog {  // seccomp(2)
  uint16_t len;
  const void* filter;
};
struct RlimitPair {  // prlimit(2)
  uint64_t soft, hard;
};
struct IoVec {
  void* base;
  uint64_t len;
};
struct MsgHeader {  // recvmsg(2), the kernel's struct user_msghdr
  void* name;
  int32_t namelen;
  IoVec* iov;
  uint64_t iovlen;
  void* control;
  uint64_t controllen;
  uint32_t flags;
};
struct CmsgHeader {
  uint64_t len;
  int32_t level, type;
};
struct CmsgFd {  // unix(7): SCM_RIGHTS with one descriptor, and its padding
  CmsgHeader head;
  int32_t fd, pad;
};
struct EpollEvent {
  uint32_t events;
  uint64_t data;
}
#if defined(__x86_64__)
__attribute__((packed))
#endif
;
struct SignalInfo {  // waitid(2): the fields of siginfo_t that it fills, padded to 128 bytes
  int32_t signo, err, code, pad0;
  int32_t pid, uid, status, pad1;
  uint8_t rest[96];
};
struct PollFd {  // poll(2)
  int32_t fd;
  int16_t events, revents;
};
struct TimeSpec {
  int64_t sec, nsec;
};
struct RUsage {  // getrusage(2)
  int64_t utime_sec, utime_usec, stime_sec, stime_usec, maxrss, rest[13];
};
struct StatFs {  // statfs(2), 64-bit
  int64_t type;
  uint8_t rest[112];
};
struct StatX {  // statx(2)
  uint32_t mask, blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode, pad0;
  uint64_t ino, size, blocks, attributes_mask;
  uint8_t times[64];
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint8_t rest[112];
};
static_assert(sizeof(StatX) == 256, "struct statx");

constexpr int kAtFdCwd = -100;
constexpr uint32_t kAtEmptyPath = 0x1000, kAtRecursive = 0x8000;
constexpr uint32_t kOReadOnly = 0, kOWriteOnly = 1, kOReadWrite = 2, kOCreat = 0100, kOExcl = 0200,
                   kONonblock = 04000, kOCloexec = 02000000, kOPath = 010000000;
#if defined(__aarch64__)
constexpr uint32_t kODirectory = 040000, kONofollow = 0100000;
#else
constexpr uint32_t kODirectory = 0200000, kONofollow = 0400000;
#endif
constexpr uint32_t kSIfmt = 0170000, kSIfdir = 0040000, kSIfchr = 0020000;
constexpr uint64_t kResolveNoXdev = 1, kResolveNoMagiclinks = 2, kResolveNoSymlinks = 4,
                   kResolveBeneath = 8, kResolveInRoot = 16;
constexpr uint64_t kMountAttrReadonly = 1;
constexpr uint32_t kOpenTreeClone = 1, kOpenTreeCloexec = kOCloexec;
constexpr uint32_t kMoveFromEmpty = 4, kMoveToEmpty = 0x40;
constexpr uint32_t kFsconfigFlag = 0, kFsconfigString = 1, kFsconfigCreate = 6;
constexpr uint32_t kMntDetach = 2;
constexpr uint64_t kMsPrivate = 1u << 18;
constexpr uint64_t kClonePidfd = 0x1000, kCloneNewns = 0x20000, kCloneNewcgroup = 0x2000000,
                   kCloneNewuts = 0x4000000, kCloneNewipc = 0x8000000, kCloneNewuser = 0x10000000,
                   kCloneNewpid = 0x20000000, kCloneNewnet = 0x40000000, kCloneNewtime = 0x80,
                   kCloneIntoCgroup = 0x200000000ull;
constexpr int kEperm = 1, kEnoent = 2, kEsrch = 3, kEintr = 4, kEio = 5, kEbadf = 9, kEchild = 10,
              kEagain = 11, kEnomem = 12, kEacces = 13, kEexist = 17, kEnodev = 19, kEnotdir = 20,
              kEinval = 22, kEnfile = 23, kEmfile = 24, kEnospc = 28, kEpipe = 32,
              kEnametoolong = 36, kEnosys = 38, kEproto = 71, kEnobufs = 105, kEtoomanyrefs = 109;
constexpr int kSigkill = 9, kSigterm = 15, kSigchld = 17, kSigxfsz = 25;
constexpr long kSigSetmask = 2, kSigsetSize = 8;
constexpr long kWnohang = 1, kWexited = 4, kWnowait = 0x1000000, kWall = 0x40000000;
constexpr long kMsgPeek = 2, kMsgDontwait = 0x40, kMsgNosignal = 0x4000,
               kMsgCmsgCloexec = 0x40000000;
constexpr int kSolSocket = 1, kScmRights = 1;
constexpr long kFsopenCloexec = 1, kFsmountCloexec = 1;
constexpr long kFdCloexec = 1, kFGetfd = 1, kFSetfd = 2;
constexpr uint32_t kEpollin = 1, kEpollout = 4;
constexpr int16_t kPollin = 1;
constexpr uint64_t kPrSetPdeathsig = 1, kPrSetDumpable = 4, kPrSetKeepcaps = 8, kPrCapbsetDrop = 24,
                   kPrSetNoNewPrivs = 38, kPrCapAmbient = 47, kPrCapAmbientRaise = 2,
                   kPrSetName = 15, kPrSetChildSubreaper = 36;

}  // namespace ringfort
