// What the JavaScript objects around a MessageSocket have in common.
#pragma once
#include <unistd.h>

#include <memory>
#include <vector>

#include "addon/callbacks.h"
#include "addon/message_socket.h"

namespace ringfort {

template <typename Derived>
class SocketObject : public Napi::ObjectWrap<Derived>, private MessageSocket::Owner {
 protected:
  using Wrap = Napi::ObjectWrap<Derived>;
  using Properties = std::vector<Napi::ClassPropertyDescriptor<Derived>>;

  explicit SocketObject(const Napi::CallbackInfo& info) : Wrap(info), socket_(this) {}

  // With the methods of every such object.
  static Napi::Function DefineWith(Napi::Env env, const char* name, Properties properties) {
    properties.push_back(Wrap::InstanceMethod("watchWritable", &Derived::WatchWritable));
    properties.push_back(Wrap::InstanceMethod("close", &Derived::Close));
    properties.push_back(Wrap::InstanceMethod("ref", &Derived::RefLoop));
    properties.push_back(Wrap::InstanceMethod("unref", &Derived::UnrefLoop));
    return Wrap::DefineClass(env, name, properties);
  }

  // Not where its worker has been told to end this very moment: then Node-API wraps nothing any
  // more (napi_cannot_run_js), and a reference to what is not wrapped ends the process.
  bool IsWrapped() const { return !this->IsEmpty(); }

  // Which functions it calls, and as what in async_hooks.
  void Listen(Napi::Env env, Napi::Value onMessage, Napi::Value onWritable, const char* name) {
    onMessage_ = Napi::Persistent(onMessage.As<Napi::Function>());
    onWritable_ = Napi::Persistent(onWritable.As<Napi::Function>());
    context_ = std::make_unique<Napi::AsyncContext>(env, name);
  }

  // Lives until its handles are closed (HandlesClosed), whatever the garbage collector thinks.
  void Live(Napi::Env env) {
    this->Ref();
    napi_add_async_cleanup_hook(env, OnEnvironmentEnd, this, &cleanup_);
  }

  void HandlesClosed() {
    if (cleanup_ != nullptr) napi_remove_async_cleanup_hook(cleanup_);
    if (!ended_) this->Unref();
  }

  // Besides its socket, what is to be closed at the end of the environment.
  virtual void CloseMore() {}

  void Tell(const Napi::FunctionReference& function) {
    if (ended_) return;
    Napi::HandleScope scope(this->Env());
    CallBack(*context_, this->Value(), function, {});
  }

  MessageSocket socket_;
  bool ended_ = false;

 public:
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

 private:
  // A worker thread, a Jest context or the process ends.
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle handle, void* data) {
    auto* self = static_cast<SocketObject*>(data);
    self->ended_ = true;
    self->cleanup_ = handle;
    // Where it is closing already, its end removes the hook.
    self->socket_.Close();
    self->CloseMore();
  }

  void OnMessage(const char* bytes, size_t size, const std::vector<int>& fds) override {
    if (ended_) {
      for (int fd : fds) close(fd);
      return;
    }
    Napi::HandleScope scope(this->Env());
    Deliver(*context_, this->Value(), onMessage_, bytes, size, fds);
  }

  void OnWritable() override { Tell(onWritable_); }

  Napi::FunctionReference onMessage_, onWritable_;
  std::unique_ptr<Napi::AsyncContext> context_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
};

}  // namespace ringfort
