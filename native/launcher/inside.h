// What the launcher and a serving init say to each other over the container's control socket. Both
// ends are this program, and no guest can reach either: the init is not dumpable.
#pragma once
#include "launcher/context.h"

namespace ringfort {

// Launcher -> init: start a program. A request of type exec (arg: steps, size: bytes of the child
// section) with this as its body; the section follows, or is the last descriptor, a memfd.
// Descriptors: sync, report (a memfd with a ChildReport), proc, then one for each slot named.
struct Start {
  uint32_t intoCgroup;  // slot, or kSlotNone
  uint32_t slotCount;
  uint32_t slot[kMaxFds];
};

// Descriptors of a Start that are no slots.
constexpr uint32_t kStartFds = 3;

// Launcher -> init: a request of type kill (id: the launcher's number of a program) without a body,
// for one whose pidfd has not come through.

// Init -> launcher: a program has ended.
struct Ended {
  uint32_t id;     // the launcher's number of it
  int32_t status;  // wait status
  uint64_t userUs, systemUs, maxRssBytes;
};

// What a child's sync socket carries, the first two with a descriptor.
constexpr char kWordPty = 'p', kWordPidfd = 's', kWordHeld = 'h';

// messages.cc: whether the other end of a socket on which nothing has come is still held.
bool PeerLives(int socket);
// messages.cc: sends one byte with a descriptor. 0, or a negative errno.
int SendFd(int socket, char word, int fd);

}  // namespace ringfort
