#include "addon/kept.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <uv.h>

#include <map>
#include <string>

#include "addon/parts.h"

namespace ringfort {
namespace {

// What a number stood for, so that nothing else is closed that has come to have it; but two of one
// anonymous kind, such as pidfds before Linux 6.9, cannot be told apart.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  unsigned terminal = 0;  // all master sides of terminals are one inode
  std::string kind;       // and so are all anonymous ones, an epoll's too

  bool operator==(const Identity& other) const {
    return device == other.device && inode == other.inode && terminal == other.terminal &&
           kind == other.kind;
  }
};

struct Kept {
  std::map<int, Identity> fds;
  bool isWorker;
};

// Of an anonymous inode: `anon_inode:[pidfd]`.
std::string KindOf(int fd) {
  char text[64];
  ssize_t size = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), text, sizeof text);
  return {text, size > 0 ? static_cast<size_t>(size) : 0};
}

Identity IdentityOf(int fd) {
  struct stat st = {};
  if (fstat(fd, &st) != 0) return {};
  unsigned number = 0;
  bool terminal = S_ISCHR(st.st_mode) && ioctl(fd, TIOCGPTN, &number) == 0;
  bool anonymous = (st.st_mode & S_IFMT) == 0;
  return {st.st_dev, st.st_ino, terminal ? number + 1 : 0, anonymous ? KindOf(fd) : ""};
}

// release(fd)
void Release(const Napi::CallbackInfo& info) {
  Forget(info.Env(), info[0].As<Napi::Number>().Int32Value());
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

void Forget(Napi::Env env, int fd) { env.GetInstanceData<Kept>()->fds.erase(fd); }

void InitKept(Napi::Env env, Napi::Object exports) {
  auto* kept = new Kept{};
  uv_loop_t* loop;
  napi_get_uv_event_loop(env, &loop);
  kept->isWorker = loop != uv_default_loop();
  env.SetInstanceData(kept);
  napi_add_env_cleanup_hook(env, CloseAll, kept);
  exports.Set("release", Napi::Function::New<Release>(env, "release"));
}

}  // namespace ringfort
