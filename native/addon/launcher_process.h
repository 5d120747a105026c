// Starting the launcher program.
#pragma once
#include <string>

namespace ringfort {

struct LauncherProcess {
  int pid = -1;
  int pidfd = -1;
  int socket = -1;
  int error = 0;  // errno of the call that failed
  const char* syscall = nullptr;
};

// Starts the program from a sealed memfd, or from `path` when it is not empty. `lock` and `journal`
// are passed on as its descriptors 4 and 5; -1 for none.
LauncherProcess StartLauncherProcess(const std::string& path, int lock, int journal);

// Waits on a thread of its own for the end of a launcher that outlives the worker which has started
// it, and closes the pidfd. The worker's loop is gone, and nobody else would reap it.
void ReapLater(int pidfd);

// A memfd that can be neither written nor resized any more; -1 with errno.
int SealedMemfd(const char* name, const void* data, size_t size, bool executable);

}  // namespace ringfort
