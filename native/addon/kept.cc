#include "addon/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <uv.h>

#include <map>

#include "addon/parts.h"

namespace ringfort {
namespace {

// What a number stood for, so that nothing else is closed that has come to have it.
struct Identity {
  dev_t device;
  ino_t inode;
  unsigned terminal;  // all master sides of terminals are one inode

  bool operator==(const Identity& other) const {
    return device == other.device && inode == other.inode && terminal == other.terminal;
  }
};

struct Kept {
  std::map<int, Identity> fds;
  bool isWorker;
};

std::map<int, Identity>& Of(const Napi::CallbackInfo& info) {
  return static_cast<Kept*>(info.Data())->fds;
}

int Descriptor(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Int32Value(); }

Identity IdentityOf(int fd) {
  struct stat st = {};
  if (fstat(fd, &st) != 0) return {};
  unsigned number = 0;
  bool terminal = S_ISCHR(st.st_mode) && ioctl(fd, TIOCGPTN, &number) == 0;
  return {st.st_dev, st.st_ino, terminal ? number + 1 : 0};
}

void Keep(const Napi::CallbackInfo& info) {
  int fd = Descriptor(info);
  Of(info)[fd] = IdentityOf(fd);
}

void Release(const Napi::CallbackInfo& info) { Of(info).erase(Descriptor(info)); }

// keepPair(0 | socket type): a pipe, or a pair of sockets, close-on-exec; or −errno. Kept before
// anybody hears of them: a worker can be told to end between any two calls.
Napi::Value KeepPair(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int type = info[0].As<Napi::Number>().Int32Value();
  int ends[2];
  int rc = type == 0 ? pipe2(ends, O_CLOEXEC) : socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends);
  if (rc != 0) return Napi::Number::New(env, -errno);
  KeepAll(env, {ends[0], ends[1]});
  Napi::Array pair = Napi::Array::New(env, 2);
  for (uint32_t i = 0; i < 2; i++) pair.Set(i, ends[i]);
  return pair;
}

// By then no call that Node has under way uses one any more, and its own handles, to which some
// were handed, are closed (Environment::RunCleanup).
void CloseAll(void* data) {
  auto* kept = static_cast<Kept*>(data);
  for (const auto& [fd, identity] : kept->fds)
    if (IdentityOf(fd) == identity) close(fd);
  kept->fds.clear();
}

}  // namespace

bool KeepAll(Napi::Env env, const std::vector<int>& fds) {
  auto* kept = env.GetInstanceData<Kept>();
  if (!kept->isWorker) return false;
  for (int fd : fds) kept->fds[fd] = IdentityOf(fd);
  return true;
}

void InitKept(Napi::Env env, Napi::Object exports) {
  auto* kept = new Kept{};
  uv_loop_t* loop;
  napi_get_uv_event_loop(env, &loop);
  kept->isWorker = loop != uv_default_loop();
  env.SetInstanceData(kept);
  napi_add_env_cleanup_hook(env, CloseAll, kept);
  exports.Set("keep", Napi::Function::New<Keep>(env, "keep", kept));
  exports.Set("keepPair", Napi::Function::New<KeepPair>(env, "keepPair"));
  exports.Set("release", Napi::Function::New<Release>(env, "release", kept));
}

}  // namespace ringfort
