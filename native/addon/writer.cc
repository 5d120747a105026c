// Writes to a descriptor that may be full, a terminal's master side, without ever waiting. Node has
// nothing for this: libuv writes to such a terminal in blocking mode (uv_tty_init), so that a guest
// that does not read would hold up everything else.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include <memory>

#include "addon/callbacks.h"
#include "addon/parts.h"

namespace ringfort {
namespace {

class Writer : public Napi::ObjectWrap<Writer> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Writer",
                       {InstanceMethod("write", &Writer::Write),
                        InstanceMethod("watchWritable", &Writer::WatchWritable),
                        InstanceMethod("close", &Writer::Close)});
  }

  // new Writer(fd, onWritable)
  explicit Writer(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Writer>(info) {
    // As in SocketObject::IsWrapped.
    if (IsEmpty()) return;
    Napi::Env env = info.Env();
    onWritable_ = Napi::Persistent(info[1].As<Napi::Function>());
    context_ = std::make_unique<Napi::AsyncContext>(env, "ringfort:writer");
    if (int error = Open(env, info[0].As<Napi::Number>().Int32Value())) {
      SystemError(env, error, "fcntl").ThrowAsJavaScriptException();
      return;
    }
    // Lives until the handle is closed, whatever the garbage collector thinks.
    Ref();
    napi_add_async_cleanup_hook(env, OnEnvironmentEnd, this, &cleanup_);
  }

 private:
  // A copy, because libuv polls a descriptor for one handle only.
  int Open(Napi::Env env, int fd) {
    fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd_ < 0) return errno;
    int flags = fcntl(fd_, F_GETFL);
    uv_loop_t* loop;
    napi_get_uv_event_loop(env, &loop);
    int error = fcntl(fd_, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : errno;
    if (error == 0) error = -uv_poll_init(loop, &poll_, fd_);
    if (error != 0) {
      close(fd_);
      return error;
    }
    poll_.data = this;
    open_ = true;
    return 0;
  }

  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle handle, void* data) {
    auto* self = static_cast<Writer*>(data);
    self->ended_ = true;
    self->cleanup_ = handle;
    self->CloseHandle();
  }

  static void OnPoll(uv_poll_t* handle, int, int) {
    auto* self = static_cast<Writer*>(handle->data);
    uv_poll_stop(handle);
    if (self->ended_) return;
    Napi::HandleScope scope(self->Env());
    CallBack(*self->context_, self->Value(), self->onWritable_, {});
  }

  void CloseHandle() {
    if (!open_) return;
    open_ = false;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
      auto* self = static_cast<Writer*>(handle->data);
      close(self->fd_);
      if (self->cleanup_ != nullptr) napi_remove_async_cleanup_hook(self->cleanup_);
      if (!self->ended_) self->Unref();
    });
  }

  // write(bytes): how many were taken, 0 when there is no room just now
  Napi::Value Write(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    auto bytes = info[0].As<Napi::Uint8Array>();
    ssize_t n = -1;
    errno = EBADF;
    if (open_) do
        n = write(fd_, bytes.Data(), bytes.ByteLength());
      while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) n = 0;
    if (n < 0) {
      SystemError(env, errno, "write").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    return Napi::Number::New(env, static_cast<double>(n));
  }

  // One call of onWritable when there is room. It does not keep the event loop alive.
  Napi::Value WatchWritable(const Napi::CallbackInfo& info) {
    if (open_) {
      uv_poll_start(&poll_, UV_WRITABLE, OnPoll);
      uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
    }
    return info.Env().Undefined();
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    CloseHandle();
    return info.Env().Undefined();
  }

  Napi::FunctionReference onWritable_;
  std::unique_ptr<Napi::AsyncContext> context_;
  uv_poll_t poll_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  int fd_ = -1;
  bool open_ = false;
  bool ended_ = false;
};

}  // namespace

void InitWriter(Napi::Env env, Napi::Object exports) { exports.Set("Writer", Writer::Define(env)); }

}  // namespace ringfort
