// The addon's parts, each with state per environment only: worker threads and Jest load it several
// times.
#include <napi.h>

#include "addon/parts.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  ringfort::InitTable(env, exports);
  ringfort::InitSys(env, exports);
  ringfort::InitLauncher(env, exports);
  ringfort::InitSocket(env, exports);
  ringfort::InitWriter(env, exports);
  ringfort::InitSeek(env, exports);
  ringfort::InitKept(env, exports);
  return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
