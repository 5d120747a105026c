// Descriptors and files.
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "addon/sys.h"
#include "syscall_numbers.h"

namespace ringfort {
namespace {

constexpr int kOfdGetlk = 36;   // F_OFD_GETLK
constexpr int kOfdSetlk = 37;   // F_OFD_SETLK
constexpr int kOfdSetlkw = 38;  // F_OFD_SETLKW

int64_t Openat(int32_t dirfd, const Text& path, uint32_t flags) {
  return Result(openat(dirfd, path.get(), static_cast<int>(flags)));
}

// struct open_how: flags, mode, resolve
int64_t Openat2(int32_t dirfd, const Text& path, Words<uint64_t, 3> how) {
  return Result(syscall(nr::openat2, dirfd, path.get(), how.data, 3 * sizeof(uint64_t)));
}

int64_t Write(int32_t fd, Bytes data) { return Result(write(fd, data.data, data.size)); }

int64_t Close(int32_t fd) { return Result(close(fd)); }

int64_t MemfdCreate(const Text& name, uint32_t flags) {
  return Result(syscall(SYS_memfd_create, name.get(), flags));
}

struct flock OneByte(int16_t type, int64_t offset) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = 1;
  return lock;
}

int64_t ByteLock(int32_t fd, int16_t type, int64_t offset, int command) {
  struct flock lock = OneByte(type, offset);
  return Result(fcntl(fd, command, &lock));
}

int64_t LockByte(int32_t fd, int64_t offset) { return ByteLock(fd, F_WRLCK, offset, kOfdSetlk); }

int64_t LockByteWait(int32_t fd, int64_t offset) {
  return ByteLock(fd, F_WRLCK, offset, kOfdSetlkw);
}

int64_t UnlockByte(int32_t fd, int64_t offset) { return ByteLock(fd, F_UNLCK, offset, kOfdSetlk); }

// 1 when somebody else's lock is in the way of one.
int64_t IsByteLocked(int32_t fd, int64_t offset) {
  struct flock lock = OneByte(F_WRLCK, offset);
  const int64_t rc = Result(fcntl(fd, kOfdGetlk, &lock));
  return rc < 0 ? rc : lock.l_type != F_UNLCK;
}

int64_t Pipe2(uint32_t flags, Words<int32_t, 2> ends) {
  return Result(pipe2(ends.data, static_cast<int>(flags)));
}

int64_t Socketpair(uint32_t type, Words<int32_t, 2> ends) {
  return Result(socketpair(AF_UNIX, static_cast<int>(type), 0, ends.data));
}

// An AF_UNIX socket and the address of a path; false when that is too long.
bool Address(const Text& path, sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  if (path.value.size() >= sizeof address->sun_path) return false;
  memcpy(address->sun_path, path.get(), path.value.size());
  return true;
}

int64_t SocketAt(const Text& path, uint32_t type, int (*join)(int, const sockaddr*, socklen_t)) {
  sockaddr_un address;
  if (!Address(path, &address)) return -ENAMETOOLONG;
  int fd = socket(AF_UNIX, static_cast<int>(type), 0);
  if (fd < 0) return -errno;
  if (join(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

int64_t ListenAt(const Text& path, uint32_t type, int32_t backlog) {
  int64_t fd = SocketAt(path, type, bind);
  if (fd < 0 || listen(static_cast<int>(fd), backlog) == 0) return fd;
  int error = errno;
  close(static_cast<int>(fd));
  return -error;
}

int64_t ConnectTo(const Text& path, uint32_t type) { return SocketAt(path, type, connect); }

int64_t Magic(int rc, const struct statfs& fs) {
  return rc == 0 ? static_cast<uint32_t>(fs.f_type) : Result(rc);
}

int64_t Statfs(const Text& path) {
  struct statfs fs = {};
  return Magic(statfs(path.get(), &fs), fs);
}

int64_t Fstatfs(int32_t fd) {
  struct statfs fs = {};
  return Magic(fstatfs(fd, &fs), fs);
}

int64_t SetWindowSize(int32_t fd, uint16_t rows, uint16_t cols) {
  struct winsize size = {rows, cols, 0, 0};
  return Result(ioctl(fd, TIOCSWINSZ, &size));
}

int64_t SetBlocking(int32_t fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags == -1 ? Result(flags) : Result(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK));
}

}  // namespace

void AddFileCalls(Napi::Object sys) {
  Add<Openat, Opening>(sys, "openat");
  Add<Openat2, Opening>(sys, "openat2");
  Add<Write>(sys, "write");
  Add<Close, Closing>(sys, "close");
  Add<MemfdCreate, Opening>(sys, "memfdCreate");
  Add<LockByte>(sys, "lockByte");
  Add<LockByteWait>(sys, "lockByteWait");
  Add<IsByteLocked>(sys, "isByteLocked");
  Add<UnlockByte>(sys, "unlockByte");
  Add<Pipe2, OpeningPair>(sys, "pipe2");
  Add<Socketpair, OpeningPair>(sys, "socketpair");
  Add<ListenAt, Opening>(sys, "listenAt");
  Add<ConnectTo, Opening>(sys, "connectTo");
  Add<Statfs>(sys, "statfs");
  Add<Fstatfs>(sys, "fstatfs");
  Add<SetBlocking>(sys, "setBlocking");
  Add<SetWindowSize>(sys, "setWindowSize");
}

}  // namespace ringfort
