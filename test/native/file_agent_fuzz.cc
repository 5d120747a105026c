// Arbitrary bytes as a request to the file agent.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "launcher/file_agent.h"

using namespace ringfort;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Of just this size, so that the address sanitizer sees a read past its end.
  std::unique_ptr<uint8_t[]> copy(new uint8_t[size]);
  if (size > 0) std::memcpy(copy.get(), data, size);
  FileRequestView view;
  if (!ParseFileRequest(copy.get(), size, &view)) return 0;
  if (Length(view.path) != view.header.pathSize) std::abort();
  if (Length(view.path2) != view.header.path2Size) std::abort();
  if (view.data + view.header.dataSize != copy.get() + size) std::abort();
  return 0;
}
