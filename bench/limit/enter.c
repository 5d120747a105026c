// The last walls and the program.
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limit.h"

void drop_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {{0}};
  MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  MUST(syscall(SYS_capset, &header, none));
}

_Noreturn void enter_program(int ruleset) {
  MUST(setsid());
  for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++) continue;
  MUST(syscall(SYS_setgroups, 0, 0));
  MUST(syscall(SYS_setresgid, 0, 0, 0));
  MUST(prctl(PR_SET_KEEPCAPS, 1));
  MUST(syscall(SYS_setresuid, 0, 0, 0));
  drop_capabilities();
  MUST(prctl(PR_SET_DUMPABLE, 0));
  MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
  MUST(chdir("/root"));
  if (ruleset >= 0) MUST(syscall(SYS_landlock_restrict_self, ruleset, 0));
  for (int i = 0; i < facts.rlimit.count; i++) {
    char* rest;
    struct rlimit limit;
    limit.rlim_cur = strtoull(facts.rlimit.at[i].b, &rest, 10);
    limit.rlim_max = strtoull(rest, 0, 10);
    MUST(setrlimit(atoi(facts.rlimit.at[i].a), &limit));
  }
  umask(022);
  MUST(close_range(3, ~0u, 0));
  struct sock_fprog program = {facts.filter_size / 8, (void*)facts.filter};
  MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
  char *argv[] = {"true", 0}, *envp[] = {0};
  stamp(WALLED);
  execve(facts.program, argv, envp);
  _exit(71);
}
