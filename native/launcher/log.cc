// The output of a detached container's command: records in files of bounded size, a bounded number
// of them. Nothing here waits, and a full disk costs output, never the container.
#include "launcher/container.h"

namespace ringfort {
namespace {

constexpr uint32_t kOAppend = 02000;
constexpr uint32_t kChunk = 16u << 10;
uint8_t chunk[kChunk];

// `log`, `log.1`, …: the higher the older.
const char* Name(uint32_t index, char* name) {
  const char digits[] = {static_cast<char>('0' + index / 10), static_cast<char>('0' + index % 10)};
  size_t at = 3;
  __builtin_memcpy(name, "log", at);
  if (index > 0) {
    name[at++] = '.';
    if (index >= 10) name[at++] = digits[0];
    name[at++] = digits[1];
  }
  name[at] = 0;
  return name;
}

void Rotate(Log& log) {
  char from[8], to[8];
  if (log.file >= 0) Close(log.file);
  log.file = -1;
  if (log.maxFiles == 1) Sys(__NR_unlinkat, log.dir, P(Name(0, from)), 0);
  for (uint32_t i = log.maxFiles - 1; i > 0; i--) {
    long error = Sys(__NR_renameat2, log.dir, P(Name(i - 1, from)), log.dir, P(Name(i, to)), 0);
    // The next would take its place.
    if (error != 0 && error != -kEnoent) break;
  }
  OpenLog(log);
}

// False when it did not fit: then nothing of it is there.
bool WriteRecord(Log& log, uint8_t stream, const void* data, uint32_t size) {
  constexpr long kRealtime = 0;
  TimeSpec now = {};
  Sys(__NR_clock_gettime, kRealtime, P(&now));
  LogRecord record = {
      static_cast<uint64_t>(now.sec) * 1000000000u + static_cast<uint64_t>(now.nsec), stream, size};
  IoVec parts[2] = {{&record, sizeof record}, {const_cast<void*>(data), size}};
  long n = Sys(__NR_writev, log.file, P(parts), 2);
  if (n == static_cast<long>(sizeof record + size)) {
    log.size += static_cast<uint64_t>(n);
    return true;
  }
  if (n > 0) Sys(__NR_ftruncate, log.file, static_cast<long>(log.size));
  return false;
}

void Append(Log& log, uint8_t stream, const void* data, uint32_t size) {
  uint64_t need = sizeof(LogRecord) + size;
  if (log.lost > 0) need += sizeof(LogRecord) + sizeof log.lost;
  bool full = log.size > sizeof(LogFileHeader) && log.size + need > log.maxSize;
  // EEXIST: the last rotation has failed half-way.
  if (log.file < 0 ? OpenLog(log) == -kEexist : full) Rotate(log);
  bool open = log.file >= 0;
  if (open && log.lost > 0) {
    open = WriteRecord(log, 0, &log.lost, sizeof log.lost);
    if (open) log.lost = 0;
  }
  if (!open || !WriteRecord(log, stream, data, size)) log.lost += size;
}

}  // namespace

int OpenLog(Log& log) {
  constexpr uint64_t kFlags = kOWriteOnly | kOCreat | kOExcl | kOAppend;
  int fd = OpenAt2(log.dir, "log", kFlags, kResolveNoSymlinks, 0600);
  if (fd < 0) return fd;
  LogFileHeader header = {kLogMagic, log.sequence + 1};
  long n = Write(fd, &header, sizeof header);
  if (n != sizeof header) {
    Close(fd);
    Sys(__NR_unlinkat, log.dir, P("log"), 0);
    return n < 0 ? static_cast<int>(n) : -kEio;
  }
  log.file = fd;
  log.sequence++;
  log.size = sizeof header;
  return 0;
}

int PumpLog(Log& log, uint32_t source) {
  long n = Read(log.source[source], chunk, kChunk);
  if (n == -kEagain) return 0;
  // EIO: nobody has the terminal's other side open, see pty(7).
  if (n <= 0) return -1;
  Append(log, source == 0 ? 1 : 2, chunk, static_cast<uint32_t>(n));
  return 1;
}

}  // namespace ringfort
