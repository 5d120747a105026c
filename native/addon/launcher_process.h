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

// Starts the program from a sealed memfd, or from `path` when it is not empty. `lock` is passed on
// as its fourth descriptor, or -1.
LauncherProcess StartLauncherProcess(const std::string& path, int lock);

// A memfd that can be neither written nor resized any more; -1 with errno.
int SealedMemfd(const char* name, const void* data, size_t size, bool executable);

}  // namespace ringfort
