// Arbitrary bytes as what recvmsg has filled in: the first byte is the flags, the second the size
// of the control data, which comes next; the rest is the message.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "launcher/messages.h"

using namespace ringfort;

namespace {

// Of just this size, so that the address sanitizer sees a read past its end.
std::unique_ptr<uint8_t[]> Copy(const uint8_t* bytes, size_t size) {
  std::unique_ptr<uint8_t[]> copy(new uint8_t[size]);
  if (size > 0) std::memcpy(copy.get(), bytes, size);
  return copy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  MsgHeader message = {};
  message.flags = data[0];
  const size_t rest = size - 2, controlSize = size_t{data[1]} * 2;
  message.controllen = controlSize < rest ? controlSize : rest;
  const auto control = Copy(data + 2, message.controllen);
  message.control = control.get();
  const size_t bytes = rest - message.controllen;
  const auto body = Copy(data + 2 + message.controllen, bytes);
  Received request;
  const bool good = ParseMessage(body.get(), bytes, message, &request);
  if (request.fdCount > kMaxFds + 1) std::abort();
  if (!good) return 0;
  if (request.fdCount > kMaxFds) std::abort();
  if (request.body != body.get() + sizeof(RequestHeader)) std::abort();
  if (request.bodySize != bytes - sizeof(RequestHeader)) std::abort();
  return 0;
}
