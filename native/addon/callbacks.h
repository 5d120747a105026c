// From the event loop into JavaScript.
#pragma once
#include <napi.h>

#include <vector>

namespace ringfort {

// An error in the shape of Node's own system errors.
Napi::Error SystemError(Napi::Env env, int error, const char* syscall);

// Calls a function from the event loop. What it throws is an uncaught exception, as from Node's own
// handles. False when nothing ran, because a worker is being terminated.
bool CallBack(const Napi::AsyncContext& context, napi_value receiver,
              const Napi::FunctionReference& function, const std::vector<napi_value>& arguments);

// Hands a message and its descriptors to a function; closes them when it could not run. In a worker
// they are kept (kept.h) until they are released.
void Deliver(const Napi::AsyncContext& context, napi_value receiver,
             const Napi::FunctionReference& function, const char* bytes, size_t size,
             const std::vector<int>& fds);

}  // namespace ringfort
