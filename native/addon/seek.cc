// Where a file has data. On a thread of libuv's pool, because lseek(2) waits for the inode's lock,
// which a guest may hold as long as one write of its takes. Node has no lseek.
#include <errno.h>
#include <unistd.h>

#include "addon/callbacks.h"
#include "addon/parts.h"

namespace ringfort {
namespace {

class NextData : public Napi::AsyncWorker {
 public:
  NextData(Napi::Env env, int fd, off_t from)
      : Napi::AsyncWorker(env, "ringfort:seek"), result_(env), fd_(fd), from_(from) {}
  Napi::Promise promise() const { return result_.Promise(); }

 private:
  void Execute() override {
    start_ = lseek(fd_, from_, SEEK_DATA);
    if (start_ >= 0) end_ = lseek(fd_, start_, SEEK_HOLE);
    if (start_ < 0 || end_ < 0) error_ = errno;
  }

  void OnOK() override {
    Napi::Env env = Env();
    Napi::HandleScope scope(env);
    if (error_ == ENXIO) return result_.Resolve(env.Undefined());
    if (error_ != 0) return result_.Reject(SystemError(env, error_, "lseek").Value());
    Napi::Array run = Napi::Array::New(env, 2);
    run.Set(0u, Napi::Number::New(env, static_cast<double>(start_)));
    run.Set(1u, Napi::Number::New(env, static_cast<double>(end_)));
    result_.Resolve(run);
  }

  Napi::Promise::Deferred result_;
  int fd_;
  off_t from_, start_ = -1, end_ = -1;
  int error_ = 0;
};

// nextData(fd, from): a promise of the next run of data, [start, end], or of undefined
Napi::Value StartNextData(const Napi::CallbackInfo& info) {
  auto* worker = new NextData(info.Env(), info[0].As<Napi::Number>().Int32Value(),
                              info[1].As<Napi::Number>().Int64Value());
  Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace

void InitSeek(Napi::Env env, Napi::Object exports) {
  exports.Set("nextData", Napi::Function::New(env, StartNextData, "nextData"));
}

}  // namespace ringfort
