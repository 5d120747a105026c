// A SOCK_SEQPACKET socket on the event loop: whole datagrams in and out, descriptors beside them.
// Nothing here blocks.
#pragma once
#include <sys/uio.h>
#include <uv.h>

#include <cstddef>
#include <vector>

namespace ringfort {

class MessageSocket {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The descriptors are the owner's to close.
    virtual void OnMessage(const char* bytes, size_t size, const std::vector<int>& fds) = 0;
    virtual void OnWritable() = 0;
    // The other side has closed, or reading has failed; nothing more will come.
    virtual void OnEnd() = 0;
    // The handle and its descriptor are closed.
    virtual void OnClosed() = 0;
  };

  explicit MessageSocket(Owner* owner) : owner_(owner) {}
  // Reads from `fd`, which is the socket's from now on; 0 or an errno. It does not keep the event
  // loop alive.
  int Open(uv_loop_t* loop, int fd);
  bool open() const { return open_; }
  // 0 or an errno; EAGAIN when the socket is full just now.
  int Send(iovec* parts, size_t count, const int* fds, size_t fdCount);
  // One call of OnWritable when it takes messages again.
  void WatchWritable();
  void ReadAll();
  // Without a bound, once nobody writes any more.
  void ReadRest();
  void Close();
  void Ref();
  void Unref();
  bool HasRef() const;

 private:
  static void OnPoll(uv_poll_t* handle, int status, int events);
  bool ReadOne();

  Owner* owner_;
  uv_poll_t poll_;
  int fd_ = -1;
  bool open_ = false;
};

}  // namespace ringfort
