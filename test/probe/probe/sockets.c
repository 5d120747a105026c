// Sockets: families, neighbours, what can be said through them.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe.h"

// FAMILY TYPE PROTOCOL
static int make_socket(char** a) { return say(socket(atoi(a[0]), atoi(a[1]), atoi(a[2]))); }

static socklen_t abstract(struct sockaddr_un* address, const char* name) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  size_t length = strlen(name);
  memcpy(address->sun_path + 1, name, length);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

static int connect_abstract(char** a) {
  struct sockaddr_un address;
  socklen_t size = abstract(&address, a[0]);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return say(connect(fd, (struct sockaddr*)&address, size));
}

// Listens until stdin ends.
static int listen_abstract(char** a) {
  struct sockaddr_un address;
  socklen_t size = abstract(&address, a[0]);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr*)&address, size) < 0 || listen(fd, 8) < 0) return say(-1);
  say(0);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  return 0;
}

static int connect_path(char** a) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, a[0], sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return say(connect(fd, (struct sockaddr*)&address, sizeof address));
}

// PORT on 127.0.0.1
static int connect_port(char** a) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(a[0]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  return say(connect(fd, (struct sockaddr*)&address, sizeof address));
}

// PORT on all addresses
static int bind_port(char** a) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(a[0]))};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  return say(bind(fd, (struct sockaddr*)&address, sizeof address));
}

static int attach_filter(char** a) {
  struct sock_filter code = {BPF_RET | BPF_K, 0, 0, 0};
  struct sock_fprog program = {1, &code};
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  return say(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

// Says of itself to be process 1.
static int forge_credentials(char** a) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0) return say(-1);
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(struct ucred))];
  } control = {.head = {CMSG_LEN(sizeof(struct ucred)), SOL_SOCKET, SCM_CREDENTIALS}};
  struct ucred claim = {1, getuid(), getgid()};
  memcpy(CMSG_DATA(&control.head), &claim, sizeof claim);
  struct iovec piece = {"x", 1};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
  message.msg_control = &control;
  message.msg_controllen = sizeof control;
  return say(sendmsg(ends[0], &message, 0));
}

const struct attempt socket_attempts[] = {
    {"socket", make_socket},
    {"connect-abstract", connect_abstract},
    {"listen-abstract", listen_abstract},
    {"connect-path", connect_path},
    {"connect-port", connect_port},
    {"bind-port", bind_port},
    {"attach-filter", attach_filter},
    {"forge", forge_credentials},
    {NULL, NULL},
};
