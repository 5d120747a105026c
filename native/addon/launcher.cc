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

#include "addon/kept.h"
#include "addon/launcher_process.h"
#include "addon/parts.h"
#include "addon/socket_object.h"
#include "protocol.h"

namespace ringfort {
namespace {

class Channel : public SocketObject<Channel> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineWith(
        env, "Channel",
        {InstanceMethod("send", &Channel::Send), InstanceMethod("release", &Channel::Release),
         InstanceAccessor("pid", &Channel::Pid, nullptr)});
  }

  // new Channel(path | '', lockFd | -1, journalFd | -1, onMessage, onWritable, onExit), or in place
  // of the path the descriptor of a socket to a launcher that runs already
  explicit Channel(const Napi::CallbackInfo& info) : SocketObject<Channel>(info) {
    Napi::Env env = info.Env();
    int given = info[0].IsNumber() ? info[0].As<Napi::Number>().Int32Value() : -1;
    if (given >= 0) Forget(env, given);
    if (!IsWrapped()) {
      if (given >= 0) close(given);
      return;
    }
    if (given >= 0)
      process_.socket = given;
    else
      process_ = StartLauncherProcess(info[0].As<Napi::String>().Utf8Value(),
                                      info[1].As<Napi::Number>().Int32Value(),
                                      info[2].As<Napi::Number>().Int32Value());
    if (process_.error != 0) {
      SystemError(env, process_.error, process_.syscall).ThrowAsJavaScriptException();
      return;
    }
    Listen(env, info[3], info[4], "ringfort:launcher");
    onExit_ = Napi::Persistent(info[5].As<Napi::Function>());
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
    Live(env);
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
    self->Tell(self->onExit_);
  }

  static void OnExitClosed(uv_handle_t* closed) {
    auto* channel = static_cast<Channel*>(closed->data);
    if (channel->outlived_)
      ReapLater(channel->process_.pidfd);
    else
      close(channel->process_.pidfd);
    channel->exitPoll_ = nullptr;
    DeletePoll(closed);
    channel->HandleClosed();
  }

  void HandleClosed() {
    if (++closedHandles_ == (ours() ? 2 : 1)) HandlesClosed();
  }

  // The launcher sees the end of its socket, undoes everything, and we wait for it to be gone.
  void CloseMore() override {
    if (!ours()) return;
    auto* exit = reinterpret_cast<uv_handle_t*>(exitPoll_);
    if (exit == nullptr || uv_is_closing(exit)) return;
    outlived_ = released_;
    if (released_)
      uv_close(exit, OnExitClosed);
    else
      uv_ref(exit);
  }

  // A launcher that is killed closes its socket a moment before it has ended. Whoever waits for
  // something now waits for that. One that may outlive us may have let go of us, and lives.
  void OnEnd() override {
    if (ours() && !released_) {
      if (socket_.HasRef()) uv_ref(reinterpret_cast<uv_handle_t*>(exitPoll_));
      return;
    }
    if (!socket_.open()) return;
    socket_.Close();
    Tell(onExit_);
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

  // release(outlives): true: the launcher may outlive this environment, which does not wait for it;
  // onExit is called when the socket ends
  Napi::Value Release(const Napi::CallbackInfo& info) {
    released_ = info[0].As<Napi::Boolean>().Value();
    return info.Env().Undefined();
  }

  Napi::Value Pid(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), process_.pid);
  }

  LauncherProcess process_;
  Napi::FunctionReference onExit_;
  // Not a part of this object, which a constructor that throws frees before libuv lets go of it.
  uv_poll_t* exitPoll_ = nullptr;
  bool released_ = false;
  // This environment has ended first.
  bool outlived_ = false;
  int closedHandles_ = 0;
};

}  // namespace

void InitLauncher(Napi::Env env, Napi::Object exports) {
  exports.Set("Channel", Channel::Define(env));
}

}  // namespace ringfort
