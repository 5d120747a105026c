// Drives a fuzz target where there is no libFuzzer (gcc): replays the files it is given, then feeds
// random bytes. Takes libFuzzer's own option: -max_total_time=SECONDS.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

bool Replay(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return false;
  std::vector<uint8_t> bytes(1 << 20);
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  std::fclose(file);
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  return true;
}

// Mostly small numbers: random words would never be a plausible count, length or op.
void Fill(std::vector<uint8_t>* bytes, std::mt19937* random) {
  for (size_t i = 0; i < bytes->size(); i++) {
    const uint32_t word = (*random)();
    const bool low = i % 4 == 1;
    (*bytes)[i] = low ? (word >> 8) % 64 : (word % 8 == 0 ? word >> 8 & 255 : 0);
  }
  if (!bytes->empty()) (*bytes)[0] = (*random)() & 255;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr char kTime[] = "-max_total_time=";
  long seconds = 10;
  for (int i = 1; i < argc; i++) {
    if (std::strncmp(argv[i], kTime, sizeof kTime - 1) == 0) {
      seconds = std::strtol(argv[i] + sizeof kTime - 1, nullptr, 10);
    } else if (argv[i][0] != '-' && !Replay(argv[i])) {
      std::fprintf(stderr, "cannot read %s\n", argv[i]);
      return 1;
    }
  }
  std::mt19937 random(std::random_device{}());
  std::vector<uint8_t> bytes;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  uint64_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; runs++) {
    bytes.resize(random() % 600);
    Fill(&bytes, &random);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%llu random inputs\n", static_cast<unsigned long long>(runs));
  return 0;
}
