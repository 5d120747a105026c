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

#include "addon/launcher_process.h"
#include "addon/parts.h"
#include "protocol.h"

namespace ringfort {
namespace {

Napi::Error SystemError(Napi::Env env, int error, const char* syscall) {
  Napi::Error result = Napi::Error::New(env, std::string(syscall) + ": " + uv_strerror(-error));
  result.Set("code", Napi::String::New(env, uv_err_name(-error)));
  result.Set("errno", Napi::Number::New(env, -error));
  result.Set("syscall", Napi::String::New(env, syscall));
  return result;
}

class Channel : public Napi::ObjectWrap<Channel> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "Channel",
        {InstanceMethod("send", &Channel::Send),
         InstanceMethod("watchWritable", &Channel::WatchWritable),
         InstanceMethod("close", &Channel::Close), InstanceMethod("ref", &Channel::RefLoop),
         InstanceMethod("unref", &Channel::UnrefLoop),
         InstanceMethod("release", &Channel::Release),
         InstanceAccessor("pid", &Channel::Pid, nullptr)});
  }

  // new Channel(path | '', lockFd | -1, onMessage, onWritable, onExit), or in place of the path the
  // descriptor of a socket to a launcher that runs already
  explicit Channel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Channel>(info) {
    Napi::Env env = info.Env();
    if (info[0].IsNumber())
      process_.socket = info[0].As<Napi::Number>().Int32Value();
    else
      process_ = StartLauncherProcess(info[0].As<Napi::String>().Utf8Value(),
                                      info[1].As<Napi::Number>().Int32Value());
    if (process_.error != 0) {
      SystemError(env, process_.error, process_.syscall).ThrowAsJavaScriptException();
      return;
    }
    onMessage_ = Napi::Persistent(info[2].As<Napi::Function>());
    onWritable_ = Napi::Persistent(info[3].As<Napi::Function>());
    onExit_ = Napi::Persistent(info[4].As<Napi::Function>());
    context_ = std::make_unique<Napi::AsyncContext>(env, "ringfort:launcher");
    uv_loop_t* loop;
    napi_get_uv_event_loop(env, &loop);
    // Both descriptors are fresh and pollable; what is left to fail is the loop's own memory.
    int error = uv_poll_init(loop, &socketPoll_, process_.socket);
    if (error == 0 && ours()) error = uv_poll_init(loop, &exitPoll_, process_.pidfd);
    if (error != 0) {
      // The launcher ends at the end of its socket.
      close(process_.socket);
      if (ours()) close(process_.pidfd);
      SystemError(env, -error, "epoll_ctl").ThrowAsJavaScriptException();
      return;
    }
    socketPoll_.data = exitPoll_.data = this;
    uv_poll_start(&socketPoll_, UV_READABLE, OnSocket);
    if (ours()) uv_poll_start(&exitPoll_, UV_READABLE, OnProcess);
    UnrefHandles();
    open_ = true;
    // Lives until both handles are closed, whatever the garbage collector thinks.
    Ref();
    napi_add_async_cleanup_hook(env, OnEnvironmentEnd, this, &cleanup_);
  }

 private:
  // The launcher was started here, and is not one that was connected to.
  bool ours() const { return process_.pidfd >= 0; }

  static void OnSocket(uv_poll_t* handle, int status, int events) {
    auto* self = static_cast<Channel*>(handle->data);
    if ((events & UV_WRITABLE) != 0) self->BecameWritable();
    if (status < 0 || (events & UV_READABLE) != 0) self->ReadAll();
  }

  static void OnProcess(uv_poll_t* handle, int, int) {
    auto* self = static_cast<Channel*>(handle->data);
    siginfo_t info = {};
    if (syscall(SYS_waitid, 3 /* P_PIDFD */, self->process_.pidfd, &info,
                WEXITED | WNOHANG | __WALL, nullptr) != 0 ||
        info.si_pid == 0)
      return;
    self->ReadAll();
    self->CloseSocket();
    uv_close(reinterpret_cast<uv_handle_t*>(handle), OnHandleClosed);
    if (self->ended_) return;
    Napi::HandleScope scope(self->Env());
    self->Call(self->onExit_, {});
  }

  static void OnHandleClosed(uv_handle_t* handle) {
    auto* self = static_cast<Channel*>(handle->data);
    close(handle == reinterpret_cast<uv_handle_t*>(&self->exitPoll_) ? self->process_.pidfd
                                                                     : self->process_.socket);
    if (++self->closedHandles_ < (self->ours() ? 2 : 1)) return;
    if (self->cleanup_ != nullptr) napi_remove_async_cleanup_hook(self->cleanup_);
    if (!self->ended_) self->Unref();
  }

  // The environment (a worker thread, a Jest context, the process) ends: the launcher sees the end
  // of its socket, undoes everything, and we wait for it to be gone.
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle handle, void* data) {
    auto* self = static_cast<Channel*>(data);
    self->ended_ = true;
    self->cleanup_ = handle;
    self->CloseSocket();
    if (!self->ours()) return;
    auto* exit = reinterpret_cast<uv_handle_t*>(&self->exitPoll_);
    if (uv_is_closing(exit)) return;
    if (self->released_)
      uv_close(exit, OnHandleClosed);
    else
      uv_ref(exit);
  }

  // Calls into JavaScript from the event loop. What it throws is an uncaught exception, as from
  // Node's own handles. False when nothing ran, because a worker is being terminated.
  bool Call(const Napi::FunctionReference& function, const std::vector<napi_value>& arguments) {
    napi_env env = Env();
    napi_value result, error;
    if (napi_make_callback(env, *context_, Value(), function.Value(), arguments.size(),
                           arguments.data(), &result) == napi_ok)
      return true;
    bool thrown = false;
    napi_is_exception_pending(env, &thrown);
    if (thrown && napi_get_and_clear_last_exception(env, &error) == napi_ok)
      napi_fatal_exception(env, error);
    return thrown;
  }

  void CloseSocket() {
    if (!open_) return;
    open_ = false;
    shutdown(process_.socket, SHUT_RDWR);
    uv_close(reinterpret_cast<uv_handle_t*>(&socketPoll_), OnHandleClosed);
  }

  void ReadAll() {
    // Bounded, so that a flood of reports cannot starve the event loop; uv_poll is level-triggered.
    for (int i = 0; i < 64 && open_ && !ended_; i++)
      if (!ReadOne()) return;
  }

  bool ReadOne() {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    static thread_local char buffer[sizeof(ReportHeader) + kMaxReportData];
    iovec iov{buffer, sizeof buffer};
    msghdr message = {};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n;
    do n = recvmsg(process_.socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
      if (n == 0 || errno != EAGAIN) OnEnd();
      return false;
    }
    Napi::Env env = Env();
    Napi::HandleScope scope(env);
    Napi::Array fds = Napi::Array::New(env);
    std::vector<int> received;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        received.push_back(fd);
        fds.Set(fds.Length(), fd);
      }
    }
    bool taken =
        Call(onMessage_, {Napi::Buffer<char>::Copy(env, buffer, static_cast<size_t>(n)), fds});
    for (size_t i = 0; i < received.size() && !taken; i++) close(received[i]);
    return true;
  }

  // A launcher of ours says the rest by its pidfd.
  void OnEnd() {
    uv_poll_stop(&socketPoll_);
    if (ours() || !open_) return;
    CloseSocket();
    Napi::HandleScope scope(Env());
    Call(onExit_, {});
  }

  void BecameWritable() {
    uv_poll_start(&socketPoll_, UV_READABLE, OnSocket);
    Napi::HandleScope scope(Env());
    Call(onWritable_, {});
  }

  // send(type, id, arg, plan | undefined, fds): false when the socket is full just now
  Napi::Value Send(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!open_) {
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
    int error = SendMessage(header, body, size, fds, count);
    if (memfd >= 0) close(memfd);
    if (error == EAGAIN) return Napi::Boolean::New(env, false);
    if (error != 0) {
      SystemError(env, error, "sendmsg").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    return Napi::Boolean::New(env, true);
  }

  int SendMessage(const RequestHeader& header, void* body, size_t size, const int* fds,
                  size_t count) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    iovec iov[2] = {{const_cast<RequestHeader*>(&header), sizeof header}, {body, size}};
    msghdr message = {};
    message.msg_iov = iov;
    message.msg_iovlen = 2;
    if (count > 0) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof(int) * count);
      memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    }
    ssize_t n;
    do n = sendmsg(process_.socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? errno : 0;
  }

  Napi::Value WatchWritable(const Napi::CallbackInfo& info) {
    if (open_) uv_poll_start(&socketPoll_, UV_READABLE | UV_WRITABLE, OnSocket);
    return info.Env().Undefined();
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    CloseSocket();
    return info.Env().Undefined();
  }

  Napi::Value RefLoop(const Napi::CallbackInfo& info) {
    if (open_) uv_ref(reinterpret_cast<uv_handle_t*>(&socketPoll_));
    return info.Env().Undefined();
  }

  Napi::Value UnrefLoop(const Napi::CallbackInfo& info) {
    if (open_) uv_unref(reinterpret_cast<uv_handle_t*>(&socketPoll_));
    return info.Env().Undefined();
  }

  void UnrefHandles() {
    uv_unref(reinterpret_cast<uv_handle_t*>(&socketPoll_));
    if (ours()) uv_unref(reinterpret_cast<uv_handle_t*>(&exitPoll_));
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
  uv_poll_t socketPoll_, exitPoll_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool open_ = false, ended_ = false, released_ = false;
  int closedHandles_ = 0;
};

}  // namespace

void InitLauncher(Napi::Env env, Napi::Object exports) {
  exports.Set("Channel", Channel::Define(env));
}

}  // namespace ringfort
