// Drives a fuzz target where there is no libFuzzer (gcc): replays the files it is given, then
// mutations of them, or random bytes if there are none. Takes libFuzzer's own options
// -max_total_time=SECONDS, -runs=N (instead of a time) and -seed=N.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

struct Options {
  unsigned long seconds = 10, runs = 0, seed = 0;
  std::vector<Bytes> seeds;
};

bool TakeNumber(const char* argument, const char* name, unsigned long* value) {
  const size_t length = std::strlen(name);
  if (std::strncmp(argument, name, length) != 0) return false;
  *value = std::strtoul(argument + length, nullptr, 10);
  return true;
}

bool TakeFile(const char* path, Options* options) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return false;
  Bytes bytes(1 << 20);
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  std::fclose(file);
  options->seeds.push_back(bytes);
  return true;
}

bool TakeArgument(const char* argument, Options* options) {
  if (TakeNumber(argument, "-max_total_time=", &options->seconds)) return true;
  if (TakeNumber(argument, "-runs=", &options->runs)) return true;
  if (TakeNumber(argument, "-seed=", &options->seed)) return true;
  return argument[0] == '-' || TakeFile(argument, options);
}

// Words that lengths, counts and slots get wrong.
uint32_t Word(std::mt19937* random) {
  constexpr uint32_t kWords[] = {0, 1, 4, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF};
  const uint32_t value = (*random)();
  return value % 3 == 0 ? kWords[(value >> 8) % 8] : value % 3 == 1 ? (value >> 8) % 64 : value;
}

void Mutate(Bytes* bytes, std::mt19937* random) {
  const size_t at = bytes->empty() ? 0 : (*random)() % bytes->size();
  const size_t aligned = at & ~size_t{3};
  const uint32_t word = Word(random);
  const auto place = bytes->begin() + static_cast<long>(at);
  switch ((*random)() % 5) {
    case 0:
      if (!bytes->empty()) *place = static_cast<uint8_t>(*place ^ 1u << word % 8);
      break;
    case 1:
      if (aligned + 4 <= bytes->size()) std::memcpy(bytes->data() + aligned, &word, 4);
      break;
    case 2:
      if (!bytes->empty()) bytes->resize(at);
      break;
    case 3: bytes->insert(place, word % 16, static_cast<uint8_t>(word >> 8)); break;
    default:
      if (at + 4 <= bytes->size()) bytes->erase(place, place + 4);
  }
}

void RunOne(const Options& options, std::mt19937* random) {
  Bytes bytes;
  if (!options.seeds.empty())
    bytes = options.seeds[(*random)() % options.seeds.size()];
  else
    for (size_t left = (*random)() % 600; left > 0; left--)
      bytes.push_back(static_cast<uint8_t>(Word(random)));
  for (uint32_t times = 1 + (*random)() % 6; times > 0; times--) Mutate(&bytes, random);
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.seed = std::random_device{}();
  for (int i = 1; i < argc; i++) {
    if (TakeArgument(argv[i], &options)) continue;
    std::fprintf(stderr, "cannot read %s\n", argv[i]);
    return 1;
  }
  for (const Bytes& bytes : options.seeds) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  std::printf("seed %lu, %zu files\n", options.seed, options.seeds.size());
  std::fflush(stdout);
  std::mt19937 random(static_cast<uint32_t>(options.seed));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.seconds);
  unsigned long done = 0;
  const auto more = [&] {
    return options.runs > 0 ? done < options.runs : std::chrono::steady_clock::now() < end;
  };
  for (; more(); done++) RunOne(options, &random);
  std::printf("%lu random inputs\n", done);
  return 0;
}
