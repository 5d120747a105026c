// The channel between one Node environment and its launcher. Nothing here blocks the event loop:
// the socket and the launcher's pidfd are watched by libuv.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <memory>
#include <string>
#include <vector>

#include "addon/callbacks.h"
#include "addon/launcher_process.h"
#include "addon/message_socket.h"
#include "addon/parts.h"
#include "protocol.h"

namespace ringfort {
namespace {

class Channel : public Napi::ObjectWrap<Channel>, private MessageSocket::Owner {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "Channel",
        {InstanceMethod("send", &Channel::Send),
         InstanceMethod("watchWritable", &Channel::WatchWritable),
         InstanceMethod("close", &Channel::Close), InstanceMethod("ref", &Channel::RefLoop),
         InstanceMethod("unref", &Channel::UnrefLoop), InstanceMethod("release", &Channel::Release),
         InstanceAccessor("pid", &Channel::Pid, nullptr)});
  }

  // new Channel(path | '', lockFd | -1, journalFd | -1, onMessage, onWritable, onExit), or in place
  // of the path the descriptor of a socket to a launcher that runs already
  explicit Channel(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<Channel>(info), socket_(this) {
    Napi::Env env = info.Env();
    if (info[0].IsNumber())
      process_.socket = info[0].As<Napi::Number>().Int32Value();
    else
      process_ = StartLauncherProcess(info[0].As<Napi::String>().Utf8Value(),
                                      info[1].As<Napi::Number>().Int32Value(),
                                      info[2].As<Napi::Number>().Int32Value());
    if (process_.error != 0) {
      SystemError(env, process_.error, process_.syscall).ThrowAsJavaScriptException();
      return;
    }
    onMessage_ = Napi::Persistent(info[3].As<Napi::Function>());
    onWritable_ = Napi::Persistent(info[4].As<Napi::Function>());
    onExit_ = Napi::Persistent(info[5].As<Napi::Function>());
    context_ = std::make_unique<Napi::AsyncContext>(env, "ringfort:launcher");
    uv_loop_t* loop;
    napi_get_uv_event_loop(env, &loop);
    int error = ours() ? WatchExit(loop) : 0;
    if (error == 0) error = -socket_.Open(loop, process_.socket);
    if (error != 0) {
      if (exitPoll_ != nullptr) uv_close(reinterpret_cast<uv_handle_t*>(exitPoll_), DeletePoll);
      // The launcher ends at the end of its socket.
      close(process_.socket);
      if (ours()) close(process_.pidfd);
      SystemError(env, -error, "epoll_ctl").ThrowAsJavaScriptException();
      return;
    }
    if (ours()) {
      exitPoll_->data = this;
      uv_poll_start(exitPoll_, UV_READABLE, OnProcess);
      uv_unref(reinterpret_cast<uv_handle_t*>(exitPoll_));
    }
    // Lives until both handles are closed, whatever the garbage collector thinks.
    Ref();
    napi_add_async_cleanup_hook(env, OnEnvironmentEnd, this, &cleanup_);
  }

 private:
  // The launcher was started here, and is not one that was connected to.
  bool ours() const { return process_.pidfd >= 0; }

  int WatchExit(uv_loop_t* loop) {
    auto poll = std::make_unique<uv_poll_t>();
    int error = uv_poll_init(loop, poll.get(), process_.pidfd);
    if (error == 0) exitPoll_ = poll.release();
    return error;
  }

  static void DeletePoll(uv_handle_t* closed) { delete reinterpret_cast<uv_poll_t*>(closed); }

  static void OnProcess(uv_poll_t* handle, int, int) {
    auto* self = static_cast<Channel*>(handle->data);
    siginfo_t info = {};
    if (syscall(SYS_waitid, 3 /* P_PIDFD */, self->process_.pidfd, &info,
                WEXITED | WNOHANG | __WALL, nullptr) != 0 ||
        info.si_pid == 0)
      return;
    self->socket_.ReadRest();
    self->socket_.Close();
    uv_close(reinterpret_cast<uv_handle_t*>(handle), OnExitClosed);
    if (self->ended_) return;
    Napi::HandleScope scope(self->Env());
    CallBack(*self->context_, self->Value(), self->onExit_, {});
  }

  static void OnExitClosed(uv_handle_t* closed) {
    auto* channel = static_cast<Channel*>(closed->data);
    close(channel->process_.pidfd);
    channel->exitPoll_ = nullptr;
    DeletePoll(closed);
    channel->HandleClosed();
  }

  void HandleClosed() {
    if (++closedHandles_ < (ours() ? 2 : 1)) return;
    if (cleanup_ != nullptr) napi_remove_async_cleanup_hook(cleanup_);
    if (!ended_) Unref();
  }

  // The environment (a worker thread, a Jest context, the process) ends: the launcher sees the end
  // of its socket, undoes everything, and we wait for it to be gone.
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle handle, void* data) {
    auto* self = static_cast<Channel*>(data);
    self->ended_ = true;
    self->cleanup_ = handle;
    self->socket_.Close();
    if (!self->ours()) return;
    auto* exit = reinterpret_cast<uv_handle_t*>(self->exitPoll_);
    if (exit == nullptr || uv_is_closing(exit)) return;
    if (self->released_)
      uv_close(exit, OnExitClosed);
    else
      uv_ref(exit);
  }

  void OnMessage(const char* bytes, size_t size, const std::vector<int>& fds) override {
    if (ended_) {
      for (int fd : fds) close(fd);
      return;
    }
    Napi::HandleScope scope(Env());
    Deliver(*context_, Value(), onMessage_, bytes, size, fds);
  }

  void OnWritable() override {
    if (ended_) return;
    Napi::HandleScope scope(Env());
    CallBack(*context_, Value(), onWritable_, {});
  }

  // A launcher that is killed closes its socket a moment before it has ended. Whoever waits for
  // something now waits for that.
  void OnEnd() override {
    if (ours()) {
      if (socket_.HasRef()) uv_ref(reinterpret_cast<uv_handle_t*>(exitPoll_));
      return;
    }
    if (!socket_.open()) return;
    socket_.Close();
    Napi::HandleScope scope(Env());
    CallBack(*context_, Value(), onExit_, {});
  }

  void OnClosed() override { HandleClosed(); }

  // send(type, id, arg, plan | undefined, fds): false when the socket is full just now
  Napi::Value Send(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!socket_.open()) {
      SystemError(env, EPIPE, "sendmsg").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    RequestHeader header{info[0].As<Napi::Number>().Uint32Value(),
                         info[1].As<Napi::Number>().Uint32Value(),
                         info[2].As<Napi::Number>().Uint32Value(), 0};
    int fds[kMaxFds];
    size_t count = 0;
    void* body = nullptr;
    size_t size = 0;
    if (info[3].IsTypedArray()) {
      auto plan = info[3].As<Napi::Uint8Array>();
      body = plan.Data();
      size = plan.ByteLength();
      header.size = static_cast<uint32_t>(size);
    }
    auto list = info[4].As<Napi::Array>();
    if (list.Length() >= kMaxFds) {
      SystemError(env, EINVAL, "sendmsg").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    int memfd = -1;
    if (size > kInlinePlanBytes) {
      memfd = SealedMemfd("ringfort-plan", body, size, false);
      if (memfd < 0) {
        SystemError(env, errno, "memfd_create").ThrowAsJavaScriptException();
        return env.Undefined();
      }
      fds[count++] = memfd;
      size = 0;
    }
    for (uint32_t i = 0; i < list.Length(); i++)
      fds[count++] = list.Get(i).As<Napi::Number>().Int32Value();
    iovec parts[2] = {{&header, sizeof header}, {body, size}};
    int error = socket_.Send(parts, 2, fds, count);
    if (memfd >= 0) close(memfd);
    if (error == EAGAIN) return Napi::Boolean::New(env, false);
    if (error != 0) {
      SystemError(env, error, "sendmsg").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    return Napi::Boolean::New(env, true);
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

  // The launcher outlives this environment, which does not wait for it.
  Napi::Value Release(const Napi::CallbackInfo& info) {
    released_ = true;
    return info.Env().Undefined();
  }

  Napi::Value Pid(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), process_.pid);
  }

  LauncherProcess process_;
  Napi::FunctionReference onMessage_, onWritable_, onExit_;
  std::unique_ptr<Napi::AsyncContext> context_;
  MessageSocket socket_;
  // Not a part of this object, which a constructor that throws frees before libuv lets go of it.
  uv_poll_t* exitPoll_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool ended_ = false, released_ = false;
  int closedHandles_ = 0;
};

}  // namespace

void InitLauncher(Napi::Env env, Napi::Object exports) {
  exports.Set("Channel", Channel::Define(env));
}

}  // namespace ringfort
