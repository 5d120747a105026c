// Descriptors that an environment has to close at its end: Node does so for what its own node:fs
// has opened, and knows nothing of those that came by our calls or in messages.
#pragma once
#include <napi.h>

#include <vector>

namespace ringfort {

// Has them closed at the end of a worker, until each is forgotten: a worker is terminated at any
// moment, also between two lines that have just been handed them. False in the main thread, which
// is never terminated.
bool KeepAll(Napi::Env env, const std::vector<int>& fds);

// It is closed now, or has another owner.
void Forget(Napi::Env env, int fd);

}  // namespace ringfort
