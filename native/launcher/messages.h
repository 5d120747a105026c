// The socket to Node: one datagram is one message, descriptors travel beside it.
#pragma once
#include "launcher/context.h"

namespace ringfort {

struct Received {
  RequestHeader header;
  uint8_t* body;  // valid until the next Receive
  uint32_t bodySize;
  int fds[kMaxFds + 1];  // one more than may come, so that a surplus is seen
  uint32_t fdCount;
  bool fdsLost;  // this process had no room for all that came (recvmsg(2), MSG_CTRUNC)
};

// Makes a message of what recvmsg has filled in, with no system call. False when its bytes were cut
// short, it carries surplus descriptors or holds no header; `fds` has what came with it either way.
bool ParseMessage(uint8_t* bytes, size_t size, const MsgHeader& message, Received* out);

// 1 for a message, 0 at the end of the socket, else a negative errno. A truncated message or
// surplus descriptors are -EPROTO, with every descriptor that came closed.
int Receive(int socket, Received* message);
void CloseFds(Received* message);
ReportHeader NewReport(Report type, uint32_t id);
// Sends a report with at most one descriptor (-1: none). 0, -EAGAIN with kMsgDontwait where there
// is no room, or another errno: whoever it was for is gone, as the end of the socket will say, too.
int Send(int socket, const ReportHeader& report, const void* data, int fd, long flags);

}  // namespace ringfort
