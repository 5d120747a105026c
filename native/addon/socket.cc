// MessageSocket as a JavaScript object: the client's side of a container's file agent.
#include <errno.h>
#include <unistd.h>

#include "addon/kept.h"
#include "addon/parts.h"
#include "addon/socket_object.h"
#include "protocol.h"

namespace ringfort {
namespace {

class Socket : public SocketObject<Socket> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineWith(env, "MessageSocket", {InstanceMethod("send", &Socket::Send)});
  }

  // new MessageSocket(fd, onMessage, onWritable, onEnd)
  explicit Socket(const Napi::CallbackInfo& info) : SocketObject<Socket>(info) {
    Napi::Env env = info.Env();
    int fd = info[0].As<Napi::Number>().Int32Value();
    Forget(env, fd);
    if (!IsWrapped()) {
      close(fd);
      return;
    }
    Listen(env, info[1], info[2], "ringfort:socket");
    onEnd_ = Napi::Persistent(info[3].As<Napi::Function>());
    uv_loop_t* loop;
    napi_get_uv_event_loop(env, &loop);
    if (int error = socket_.Open(loop, fd)) {
      close(fd);
      SystemError(env, error, "epoll_ctl").ThrowAsJavaScriptException();
      return;
    }
    Live(env);
  }

 private:
  void OnEnd() override { Tell(onEnd_); }

  void OnClosed() override { HandlesClosed(); }

  // send(bytes, fds): false when the socket is full just now
  Napi::Value Send(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    auto bytes = info[0].As<Napi::Uint8Array>();
    auto list = info[1].As<Napi::Array>();
    int fds[kMaxFds];
    size_t count = 0;
    for (; count < list.Length() && count < kMaxFds; count++)
      fds[count] = list.Get(static_cast<uint32_t>(count)).As<Napi::Number>().Int32Value();
    iovec part{bytes.Data(), bytes.ByteLength()};
    int error = !socket_.open() ? EPIPE : socket_.Send(&part, 1, fds, count);
    if (error != 0 && error != EAGAIN) {
      SystemError(env, error, "sendmsg").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    return Napi::Boolean::New(env, error == 0);
  }

  Napi::FunctionReference onEnd_;
};

}  // namespace

void InitSocket(Napi::Env env, Napi::Object exports) {
  exports.Set("MessageSocket", Socket::Define(env));
}

}  // namespace ringfort
