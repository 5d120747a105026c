// The file agent's parser: requests good and damaged, and what it makes of random bytes.
#include "launcher/file_agent.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"

using namespace ringfort;

namespace {

using Bytes = std::vector<uint8_t>;

Bytes Encode(FileRequest header, const std::string& path, const std::string& path2,
             const std::string& data) {
  header.pathSize = static_cast<uint32_t>(path.size());
  header.path2Size = static_cast<uint32_t>(path2.size());
  header.dataSize = static_cast<uint32_t>(data.size());
  Bytes out(sizeof header);
  std::memcpy(out.data(), &header, sizeof header);
  for (const std::string* text : {&path, &path2}) {
    out.insert(out.end(), text->begin(), text->end());
    out.push_back(0);
  }
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

FileRequest Header(FileOp op) {
  FileRequest header = {};
  header.op = static_cast<uint32_t>(op);
  header.id = 7;
  header.dir = header.dir2 = kFileCwd;
  return header;
}

// From a copy of just this size, so that the address sanitizer sees a read past its end.
bool Parse(const Bytes& bytes, FileRequestView* view) {
  static std::unique_ptr<uint8_t[]> copy;
  copy.reset(new uint8_t[bytes.size()]);
  if (!bytes.empty()) std::memcpy(copy.get(), bytes.data(), bytes.size());
  return ParseFileRequest(copy.get(), bytes.size(), view);
}

bool Refused(const Bytes& bytes) {
  FileRequestView view;
  return !Parse(bytes, &view);
}

void TestGood() {
  FileRequestView view;
  CHECK(Parse(Encode(Header(FileOp::setxattr), "/a/b", "user.x", std::string("v\0w", 3)), &view));
  CHECK(view.header.id == 7);
  CHECK(std::strcmp(view.path, "/a/b") == 0);
  CHECK(std::strcmp(view.path2, "user.x") == 0);
  CHECK(view.header.dataSize == 3 && std::memcmp(view.data, "v\0w", 3) == 0);
  CHECK(Parse(Encode(Header(FileOp::stat), std::string(kMaxFilePath, 'p'), "", ""), &view));
  CHECK(Parse(Encode(Header(FileOp::setxattr), "p", "n", std::string(kMaxFileData, 'v')), &view));
  CHECK(Parse(Encode(Header(FileOp::closeDir), "", "", ""), &view));
}

void TestDamaged() {
  const Bytes good = Encode(Header(FileOp::rename), "from", "to", "");
  CHECK(!Refused(good));
  for (size_t size = 0; size < good.size(); size++)
    CHECK(Refused(Bytes(good.begin(), good.begin() + static_cast<long>(size))));
  Bytes longer = good;
  longer.push_back(0);
  CHECK(Refused(longer));
  FileRequest header = Header(FileOp::stat);
  header.op = static_cast<uint32_t>(FileOp::count);
  CHECK(Refused(Encode(header, "p", "", "")));
  header = Header(FileOp::stat);
  header.flags = 4;
  CHECK(Refused(Encode(header, "p", "", "")));
  CHECK(Refused(Encode(Header(FileOp::stat), "p", "second", "")));
  CHECK(Refused(Encode(Header(FileOp::stat), "p", "", "data")));
  CHECK(Refused(Encode(Header(FileOp::closeDir), "p", "", "")));
  CHECK(Refused(Encode(Header(FileOp::stat), std::string("a\0b", 3), "", "")));
  CHECK(Refused(Encode(Header(FileOp::stat), std::string(kMaxFilePath + 1, 'p'), "", "")));
  CHECK(Refused(Encode(Header(FileOp::setxattr), "p", "n", std::string(kMaxFileData + 1, 'v'))));
}

// Sizes that wrap, beside every length that there is.
void TestSizes() {
  const uint32_t sizes[] = {0,          1,          4095,       4096,      65536,
                            0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF};
  for (uint32_t path : sizes)
    for (uint32_t path2 : sizes)
      for (uint32_t data : sizes) {
        Bytes bytes = Encode(Header(FileOp::setxattr), "path", "name", "value");
        auto* header = reinterpret_cast<FileRequest*>(bytes.data());
        header->pathSize = path;
        header->path2Size = path2;
        header->dataSize = data;
        CHECK(Refused(bytes));
      }
}

void TestRandom() {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; i++) {
    Bytes bytes(random() % 160);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 4 == 0 ? random() : 0);
    if (bytes.size() >= 4) bytes[0] = static_cast<uint8_t>(random() % 32);
    FileRequestView view;
    if (!Parse(bytes, &view)) continue;
    CHECK(Length(view.path) == view.header.pathSize);
    CHECK(Length(view.path2) == view.header.path2Size);
  }
}

}  // namespace

int main() {
  TestGood();
  TestDamaged();
  TestSizes();
  TestRandom();
  return 0;
}
