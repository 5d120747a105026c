#include "addon/kept.h"

#include <unistd.h>
#include <uv.h>

#include <set>

#include "addon/parts.h"

namespace ringfort {
namespace {

struct Kept {
  std::set<int> fds;
  bool isWorker;
};

std::set<int>& Of(const Napi::CallbackInfo& info) { return static_cast<Kept*>(info.Data())->fds; }

int Descriptor(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Int32Value(); }

void Keep(const Napi::CallbackInfo& info) { Of(info).insert(Descriptor(info)); }

void Release(const Napi::CallbackInfo& info) { Of(info).erase(Descriptor(info)); }

// By then no call that Node has under way uses one any more (Environment::RunCleanup).
void CloseAll(void* data) {
  auto* kept = static_cast<Kept*>(data);
  for (int fd : kept->fds) close(fd);
  kept->fds.clear();
}

}  // namespace

bool KeepAll(Napi::Env env, const std::vector<int>& fds) {
  auto* kept = env.GetInstanceData<Kept>();
  if (kept->isWorker) kept->fds.insert(fds.begin(), fds.end());
  return kept->isWorker;
}

void InitKept(Napi::Env env, Napi::Object exports) {
  auto* kept = new Kept{};
  uv_loop_t* loop;
  napi_get_uv_event_loop(env, &loop);
  kept->isWorker = loop != uv_default_loop();
  env.SetInstanceData(kept);
  napi_add_env_cleanup_hook(env, CloseAll, kept);
  exports.Set("keep", Napi::Function::New<Keep>(env, "keep", kept));
  exports.Set("release", Napi::Function::New<Release>(env, "release", kept));
}

}  // namespace ringfort
