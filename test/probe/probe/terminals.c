// Terminals. The kernel takes the low 32 bits of an ioctl's request: what stands above must not
// hide it from a filter.
#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

static int control(unsigned long request, const char* argument) {
  return say(syscall(SYS_ioctl, 0, request, argument));
}

static int sti(char** a) { return control(TIOCSTI, "x"); }
static int sti_high(char** a) { return control(TIOCSTI | 1UL << 32, "x"); }
static int lin(char** a) { return control(TIOCLINUX, "\2"); }
static int lin_high(char** a) { return control(TIOCLINUX | 1UL << 32, "\2"); }
static int discipline(char** a) { return control(TIOCSETD, "\0\0\0"); }
static int own_terminal(char** a) { return puts(ttyname(0) == NULL ? "none" : ttyname(0)) < 0; }

const struct attempt terminal_attempts[] = {
    {"tiocsti", sti},
    {"tiocsti-high", sti_high},
    {"tioclinux", lin},
    {"tioclinux-high", lin_high},
    {"tiocsetd", discipline},
    {"tty", own_terminal},
    {NULL, NULL},
};
