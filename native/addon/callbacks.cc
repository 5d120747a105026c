#include "addon/callbacks.h"

#include <unistd.h>
#include <uv.h>

#include <string>

#include "addon/kept.h"

namespace ringfort {

Napi::Error SystemError(Napi::Env env, int error, const char* syscall) {
  Napi::Error result = Napi::Error::New(env, std::string(syscall) + ": " + uv_strerror(-error));
  result.Set("code", Napi::String::New(env, uv_err_name(-error)));
  result.Set("errno", Napi::Number::New(env, -error));
  result.Set("syscall", Napi::String::New(env, syscall));
  return result;
}

bool CallBack(const Napi::AsyncContext& context, napi_value receiver,
              const Napi::FunctionReference& function, const std::vector<napi_value>& arguments) {
  napi_env env = function.Env();
  napi_value result, error;
  if (napi_make_callback(env, context, receiver, function.Value(), arguments.size(),
                         arguments.data(), &result) == napi_ok)
    return true;
  bool thrown = false;
  napi_is_exception_pending(env, &thrown);
  if (thrown && napi_get_and_clear_last_exception(env, &error) == napi_ok)
    napi_fatal_exception(env, error);
  return thrown;
}

void Deliver(const Napi::AsyncContext& context, napi_value receiver,
             const Napi::FunctionReference& function, const char* bytes, size_t size,
             const std::vector<int>& fds) {
  Napi::Env env = function.Env();
  Napi::Array list = Napi::Array::New(env);
  for (int fd : fds) list.Set(list.Length(), fd);
  bool kept = KeepAll(env, fds);
  if (CallBack(context, receiver, function, {Napi::Buffer<char>::Copy(env, bytes, size), list}) ||
      kept)
    return;
  for (int fd : fds) close(fd);
}

}  // namespace ringfort
