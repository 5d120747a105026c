#include "addon/launcher_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "addon/launcher_bytes.h"

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

namespace ringfort {
namespace {

constexpr unsigned kMfdCloexec = 1, kMfdAllowSealing = 2, kMfdNoexecSeal = 8, kMfdExec = 16;
constexpr int kSealAll = 1 | 2 | 4 | 8;  // seal, shrink, grow, write
constexpr int kAtEmptyPath = 0x1000;

struct Exec {
  int program, socket;
  int kept[2];  // id lock and journal: descriptors 4 and 5 of the launcher; -1: none
  int error;
};

// Runs in Node's memory while the calling thread is suspended (CLONE_VM | CLONE_VFORK): only calls
// that signal-safety(7) lists, and nothing that Node would miss afterwards.
int RunExec(void* raw) {
  auto* exec = static_cast<Exec*>(raw);
  // Out of the way first: the sources may themselves be 3 to 5.
  int program = fcntl(exec->program, F_DUPFD_CLOEXEC, 16);
  int socket = fcntl(exec->socket, F_DUPFD_CLOEXEC, 16);
  bool ok = program >= 0 && socket >= 0;
  int kept[2] = {-1, -1};
  for (int i = 0; i < 2 && ok; i++) {
    if (exec->kept[i] < 0) continue;
    kept[i] = fcntl(exec->kept[i], F_DUPFD_CLOEXEC, 16);
    ok = kept[i] >= 0;
  }
  ok = ok && dup2(socket, 3) == 3;
  for (int i = 0; i < 2 && ok; i++) {
    if (kept[i] < 0)
      close(4 + i);
    else
      ok = dup2(kept[i], 4 + i) == 4 + i;
  }
  if (ok) {
    char name[] = "ringfort-launcher";
    char* argv[] = {name, nullptr};
    char* envp[] = {nullptr};
    syscall(SYS_execveat, program, "", argv, envp, kAtEmptyPath);
  }
  exec->error = errno;
  _exit(127);
}

int OpenProgram(const std::string& path) {
  if (!path.empty()) return open(path.c_str(), O_PATH | O_CLOEXEC);
  return SealedMemfd("ringfort", kLauncherBytes, kLauncherSize, true);
}

void* Reap(void* data) {
  int pidfd = static_cast<int>(reinterpret_cast<intptr_t>(data));
  // libuv has made the pidfd one that waitid(2) does not wait for.
  pollfd ended{pidfd, POLLIN, 0};
  while (poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  siginfo_t info;
  syscall(SYS_waitid, 3 /* P_PIDFD */, pidfd, &info, WEXITED | WNOHANG | __WALL, nullptr);
  close(pidfd);
  return nullptr;
}

}  // namespace

// The addon is linked with `-z nodelete`: Node unloads it with the last worker that uses it.
void ReapLater(int pidfd) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  // Signals are for Node's threads; this one inherits the mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  void* data = reinterpret_cast<void*>(static_cast<intptr_t>(pidfd));
  // Without a thread it stays a zombie until this process ends.
  if (pthread_create(&thread, &attributes, Reap, data) != 0) close(pidfd);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
}

int SealedMemfd(const char* name, const void* data, size_t size, bool executable) {
  unsigned flags = kMfdCloexec | kMfdAllowSealing;
  long fd = syscall(SYS_memfd_create, name, flags | (executable ? kMfdExec : kMfdNoexecSeal));
  // Kernels before 6.3 know neither flag; there every memfd may execute.
  if (fd < 0 && errno == EINVAL) fd = syscall(SYS_memfd_create, name, flags);
  if (fd < 0) return -1;
  size_t done = 0;
  while (done < size) {
    ssize_t n = write(static_cast<int>(fd), static_cast<const char*>(data) + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  if (done == size && fcntl(static_cast<int>(fd), F_ADD_SEALS, kSealAll) == 0)
    return static_cast<int>(fd);
  int error = errno;
  close(static_cast<int>(fd));
  errno = error;
  return -1;
}

LauncherProcess StartLauncherProcess(const std::string& path, int lock, int journal) {
  constexpr size_t kStack = 64 << 10;
  LauncherProcess result;
  auto fail = [&result](const char* call) {
    result.error = errno;
    result.syscall = call;
    return result;
  };
  int program = OpenProgram(path);
  if (program < 0) return fail(path.empty() ? "memfd_create" : "open");
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    fail("socketpair");
    close(program);
    return result;
  }
  void* stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) {
    fail("mmap");
  } else {
    Exec exec{program, pair[1], {lock, journal}, 0};
    // No handler of Node's may run in the child; the launcher resets its own mask.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // vfork-like, because a fork would copy Node's page tables; no exit signal, because Node's
    // SIGCHLD handling is for the children it started itself.
    int pid = clone(RunExec, static_cast<char*>(stack) + kStack,
                    CLONE_VM | CLONE_VFORK | CLONE_PIDFD, &exec, &result.pidfd);
    if (pid < 0) fail("clone");
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid >= 0 && exec.error != 0) {
      errno = exec.error;
      fail("execveat");
      siginfo_t info;
      syscall(SYS_waitid, 3 /* P_PIDFD */, result.pidfd, &info, WEXITED | __WALL, nullptr);
      close(result.pidfd);
      result.pidfd = -1;
    } else if (pid >= 0) {
      result.pid = pid;
    }
    munmap(stack, kStack);
  }
  close(program);
  close(pair[1]);
  if (result.error != 0) {
    close(pair[0]);
  } else {
    result.socket = pair[0];
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
  }
  return result;
}

}  // namespace ringfort
