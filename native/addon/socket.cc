// MessageSocket as a JavaScript object: the client's side of a container's file agent.
#include <errno.h>
#include <unistd.h>

#include <memory>

#include "addon/callbacks.h"
#include "addon/message_socket.h"
#include "addon/parts.h"
#include "protocol.h"

namespace ringfort {
namespace {

class Socket : public Napi::ObjectWrap<Socket>, private MessageSocket::Owner {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "MessageSocket",
        {InstanceMethod("send", &Socket::Send),
         InstanceMethod("watchWritable", &Socket::WatchWritable),
         InstanceMethod("close", &Socket::Close), InstanceMethod("ref", &Socket::RefLoop),
         InstanceMethod("unref", &Socket::UnrefLoop)});
  }

  // new MessageSocket(fd, onMessage, onWritable, onEnd)
  explicit Socket(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Socket>(info), socket_(this) {
    Napi::Env env = info.Env();
    onMessage_ = Napi::Persistent(info[1].As<Napi::Function>());
    onWritable_ = Napi::Persistent(info[2].As<Napi::Function>());
    onEnd_ = Napi::Persistent(info[3].As<Napi::Function>());
    context_ = std::make_unique<Napi::AsyncContext>(env, "ringfort:socket");
    uv_loop_t* loop;
    napi_get_uv_event_loop(env, &loop);
    int fd = info[0].As<Napi::Number>().Int32Value();
    if (int error = socket_.Open(loop, fd)) {
      close(fd);
      SystemError(env, error, "epoll_ctl").ThrowAsJavaScriptException();
      return;
    }
    // Lives until the handle is closed, whatever the garbage collector thinks.
    Ref();
    napi_add_async_cleanup_hook(env, OnEnvironmentEnd, this, &cleanup_);
  }

 private:
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle handle, void* data) {
    auto* self = static_cast<Socket*>(data);
    self->ended_ = true;
    self->cleanup_ = handle;
    // Already on its way: OnClosed removes the hook.
    self->socket_.Close();
  }

  void OnMessage(const char* bytes, size_t size, const std::vector<int>& fds) override {
    if (ended_) {
      for (int fd : fds) close(fd);
      return;
    }
    Napi::HandleScope scope(Env());
    Deliver(*context_, Value(), onMessage_, bytes, size, fds);
  }

  void OnWritable() override { Tell(onWritable_); }

  void OnEnd() override { Tell(onEnd_); }

  void Tell(const Napi::FunctionReference& function) {
    if (ended_) return;
    Napi::HandleScope scope(Env());
    CallBack(*context_, Value(), function, {});
  }

  void OnClosed() override {
    if (cleanup_ != nullptr) napi_remove_async_cleanup_hook(cleanup_);
    if (!ended_) Unref();
  }

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

  Napi::Value WatchWritable(const Napi::CallbackInfo& info) {
    socket_.WatchWritable();
    return info.Env().Undefined();
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    socket_.Close();
    return info.Env().Undefined();
  }

  Napi::Value RefLoop(const Napi::CallbackInfo& info) {
    socket_.Ref();
    return info.Env().Undefined();
  }

  Napi::Value UnrefLoop(const Napi::CallbackInfo& info) {
    socket_.Unref();
    return info.Env().Undefined();
  }

  MessageSocket socket_;
  Napi::FunctionReference onMessage_, onWritable_, onEnd_;
  std::unique_ptr<Napi::AsyncContext> context_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool ended_ = false;
};

}  // namespace

void InitSocket(Napi::Env env, Napi::Object exports) {
  exports.Set("MessageSocket", Socket::Define(env));
}

}  // namespace ringfort
