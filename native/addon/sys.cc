#include "addon/sys.h"

#include "addon/parts.h"

void ringfort::InitSys(Napi::Env env, Napi::Object exports) {
  Napi::Object sys = Napi::Object::New(env);
  AddMountCalls(sys);
  AddProcessCalls(sys);
  AddFileCalls(sys);
  exports.Set("sys", sys);
}
