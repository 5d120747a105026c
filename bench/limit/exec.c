// One more program in a container that runs: joins by pidfd, and the walls again.
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit.h"

static _Noreturn void join(int pidfd) {
  MUST(setns(pidfd, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                        CLONE_NEWNET | CLONE_NEWCGROUP));
  int pid = MUST(vfork());
  if (pid == 0) enter_program(-1);
  int status;
  MUST(waitpid(pid, &status, 0));
  _exit(WEXITSTATUS(status));
}

void exec_inside(int target) {
  int pidfd = MUST(syscall(SYS_pidfd_open, target, 0));
  int pid = MUST(fork());
  if (pid == 0) join(pidfd);
  int status;
  MUST(waitpid(pid, &status, 0));
  close(pidfd);
  if (status != 0) die("exec", __FILE__, __LINE__);
}
