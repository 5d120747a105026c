// How a plain C++ function over a system call becomes a function of `ringfort/sys`: its parameter
// types say what each JavaScript argument must be. The result is the call's own, or -errno;
// lib/sys makes the error. Checks of meaning are made there too: here a wrong type is a TypeError.
#pragma once
#include <errno.h>
#include <napi.h>
#include <stddef.h>
#include <stdint.h>

#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "addon/kept.h"

namespace ringfort {

void AddMountCalls(Napi::Object sys);    // sys_mount.cc
void AddProcessCalls(Napi::Object sys);  // sys_process.cc
void AddFileCalls(Napi::Object sys);     // sys_files.cc

// A string argument; undefined is a null pointer only where the function takes an OptionalText.
struct Text {
  std::string value;
  const char* get() const { return value.c_str(); }
};
struct OptionalText {
  std::string value;
  bool given = false;
  const char* get() const { return given ? value.c_str() : nullptr; }
};

// A Uint8Array, valid for the time of the call.
struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

// A typed array of exactly N words: a kernel structure that lib/sys lays out. undefined is null.
template <typename Word, size_t N>
struct Words {
  Word* data = nullptr;
};

inline int64_t Result(int64_t rc) { return rc == -1 ? -static_cast<int64_t>(errno) : rc; }

// Reads arguments by type; the first wrong one throws a TypeError, the rest are left alone.
class ArgumentReader {
 public:
  explicit ArgumentReader(const Napi::CallbackInfo& info) : info_(info) {}
  bool ok() const { return ok_; }

  template <typename T>
  T Read(size_t index) {
    T result{};
    if (ok_) Take(index, &result);
    return result;
  }

 private:
  void Wrong(size_t index, const char* expected) {
    ok_ = false;
    std::string message = "argument " + std::to_string(index + 1) + ": expected " + expected;
    Napi::TypeError::New(info_.Env(), message).ThrowAsJavaScriptException();
  }

  template <typename T>
  std::enable_if_t<std::is_integral_v<T>> Take(size_t index, T* result) {
    static_assert(sizeof(T) <= 4, "a double does not carry larger ones: use int64_t or uint64_t");
    double number = 0;
    if (TakeNumber(index, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), &number)) {
      *result = static_cast<T>(number);
    }
  }
  void Take(size_t index, int64_t* result) {
    constexpr double kMaxSafeInteger = 9007199254740991.0;
    double number = 0;
    if (TakeNumber(index, -kMaxSafeInteger, kMaxSafeInteger, &number)) {
      *result = static_cast<int64_t>(number);
    }
  }
  void Take(size_t index, uint64_t* result) {
    bool lossless = false;
    if (info_[index].IsBigInt()) {
      *result = info_[index].As<Napi::BigInt>().Uint64Value(&lossless);
    }
    if (!lossless) Wrong(index, "a bigint of 64 bits");
  }
  void Take(size_t index, Text* result) {
    if (!info_[index].IsString()) return Wrong(index, "a string");
    result->value = info_[index].As<Napi::String>().Utf8Value();
    if (result->value.find('\0') != std::string::npos) Wrong(index, "a string without NUL");
  }
  void Take(size_t index, OptionalText* result) {
    if (info_[index].IsUndefined() && index < info_.Length()) return;
    Text text;
    Take(index, &text);
    result->value = std::move(text.value);
    result->given = true;
  }
  void Take(size_t index, Bytes* result) {
    if (!IsTyped(index, napi_uint8_array)) return Wrong(index, "a Uint8Array");
    auto array = info_[index].As<Napi::Uint8Array>();
    result->data = array.Data();
    result->size = array.ByteLength();
  }
  template <typename Word, size_t N>
  void Take(size_t index, Words<Word, N>* result) {
    if (info_[index].IsUndefined() && index < info_.Length()) return;
    constexpr napi_typedarray_type kType = std::is_same_v<Word, uint64_t>   ? napi_biguint64_array
                                           : std::is_same_v<Word, uint32_t> ? napi_uint32_array
                                                                            : napi_int32_array;
    bool fits = IsTyped(index, kType) && info_[index].As<Napi::TypedArray>().ElementLength() == N;
    if (!fits) return Wrong(index, "a typed array of the structure's size");
    result->data = info_[index].As<Napi::TypedArrayOf<Word>>().Data();
  }

  bool TakeNumber(size_t index, double min, double max, double* result) {
    double number = std::nan("");
    if (info_[index].IsNumber()) number = info_[index].As<Napi::Number>().DoubleValue();
    *result = number;
    if (number >= min && number <= max && number == std::trunc(number)) return true;
    Wrong(index, "an integer in range");
    return false;
  }
  bool IsTyped(size_t index, napi_typedarray_type type) {
    return info_[index].IsTypedArray() &&
           info_[index].As<Napi::TypedArray>().TypedArrayType() == type;
  }

  const Napi::CallbackInfo& info_;
  bool ok_ = true;
};

template <auto Function>
struct Callback;

template <typename... A, int64_t (*Function)(A...)>
struct Callback<Function> {
  static Napi::Value Run(const Napi::CallbackInfo& info) {
    return Run(info, std::index_sequence_for<A...>{});
  }

 private:
  template <size_t... I>
  static Napi::Value Run(const Napi::CallbackInfo& info, std::index_sequence<I...>) {
    ArgumentReader reader(info);
    // braces: the arguments are read from left to right
    std::tuple<std::decay_t<A>...> arguments{reader.Read<std::decay_t<A>>(I)...};
    if (!reader.ok()) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), static_cast<double>(std::apply(Function, arguments)));
  }
};

// A call that returns a descriptor. In a worker it is closed at the worker's end, which may come
// before JavaScript hears of it.
template <auto Function>
struct Opening {
  static Napi::Value Run(const Napi::CallbackInfo& info) {
    Napi::Value result = Callback<Function>::Run(info);
    int fd = result.IsNumber() ? result.As<Napi::Number>().Int32Value() : -1;
    if (fd >= 0) KeepAll(info.Env(), {fd});
    return result;
  }
};

// One that leaves two in its second argument.
template <auto Function>
struct OpeningPair {
  static Napi::Value Run(const Napi::CallbackInfo& info) {
    Napi::Value result = Callback<Function>::Run(info);
    if (result.IsNumber() && result.As<Napi::Number>().Int32Value() == 0) {
      const int32_t* ends = info[1].As<Napi::Int32Array>().Data();
      KeepAll(info.Env(), {ends[0], ends[1]});
    }
    return result;
  }
};

// One that closes its first argument. Both at once: a worker may end between any two calls.
template <auto Function>
struct Closing {
  static Napi::Value Run(const Napi::CallbackInfo& info) {
    if (info[0].IsNumber()) Forget(info.Env(), info[0].As<Napi::Number>().Int32Value());
    return Callback<Function>::Run(info);
  }
};

// Add<Unshare>(sys, "unshare"): sys.unshare(flags) calls Unshare(flags).
template <auto Function, template <auto> typename As = Callback>
void Add(Napi::Object sys, const char* name) {
  sys.Set(name, Napi::Function::New<As<Function>::Run>(sys.Env(), name));
}

}  // namespace ringfort
