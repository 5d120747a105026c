#include "launcher/journal.h"

#include "launcher/stops.h"

namespace ringfort {
namespace {

constexpr uint32_t kPathAt = __builtin_offsetof(JournalEntry, path);
constexpr uint32_t kMadeAt = __builtin_offsetof(JournalEntry, madeCrc);
constexpr long kRemoveDir = 0x200;

uint32_t Crc(uint32_t crc, const void* data, size_t size) {
  auto* bytes = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (size_t i = 0; i < size; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1)));
  }
  return ~crc;
}

// 0 is a free place.
uint32_t Tag(uint32_t crc) { return crc == 0 ? 1 : crc; }

int WriteAt(const Journal& j, uint32_t index, uint32_t offset, const void* data, size_t size) {
  uint64_t at = uint64_t{index} * sizeof(JournalEntry) + offset;
  long n = Insist(0, __NR_pwrite64, j.fd, P(data), static_cast<long>(size), static_cast<long>(at));
  if (n < 0) return static_cast<int>(n);
  return static_cast<size_t>(n) == size ? 0 : -kEnospc;
}

int FreePlace(const Journal& j, uint32_t* index) {
  for (uint32_t i = 0; i < kJournalEntries; i++) {
    if (j.tags[i] != 0) continue;
    *index = i;
    return 0;
  }
  return -kEnospc;
}

int Intend(Journal& j, const Arg& path, uint32_t* index) {
  JournalEntry entry = {};
  if (path.size > sizeof entry.path) return -kEnametoolong;
  if (int error = FreePlace(j, index)) return error;
  entry.magic = kJournalMagic;
  entry.pathSize = path.size;
  entry.pathCrc = Crc(0, path.text, path.size);
  __builtin_memcpy(entry.path, path.text, path.size);
  if (int error = WriteAt(j, *index, 0, &entry, kPathAt + path.size)) return error;
  j.tags[*index] = Tag(entry.pathCrc);
  j.used++;
  if (*index >= j.top) j.top = *index + 1;
  return 0;
}

// The two writes of an entry do not overlap: the second cannot damage the first.
int Confirm(const Journal& j, uint32_t index, const Arg& path, int parent, const char* name) {
  constexpr long kNofollow = 0x100, kStatxIno = 0x100;
  StatX st;
  if (long error = Sys(__NR_statx, parent, P(name), kNofollow, kStatxIno, P(&st)))
    return static_cast<int>(error);
  JournalEntry entry = {};
  entry.inode = st.ino;
  entry.devMajor = st.dev_major;
  entry.devMinor = st.dev_minor;
  entry.madeCrc = Crc(Crc(0, path.text, path.size), &entry.inode, 16);
  return WriteAt(j, index, kMadeAt, &entry.madeCrc, kPathAt - kMadeAt);
}

// A failure is nothing to report: what the entry names is not there any more.
void Free(Journal& j, uint32_t index) {
  j.tags[index] = 0;
  if (--j.used == 0 && Insist(0, __NR_ftruncate, j.fd, 0) == 0) {
    j.top = 0;
    return;
  }
  const JournalEntry nothing = {};
  WriteAt(j, index, 0, &nothing, kPathAt);
}

bool Names(const Journal& j, uint32_t index, const Arg& path) {
  JournalEntry entry;
  long at = static_cast<long>(index * sizeof entry);
  long n = Insist(0, __NR_pread64, j.fd, P(&entry), sizeof entry, at);
  return n > 0 && static_cast<size_t>(n) >= kPathAt + path.size && entry.pathSize == path.size &&
         Equal(entry.path, path.text, path.size);
}

}  // namespace

void OpenJournal(Journal& j, int fd) {
  j.fd = fd;
  KeepFromChildren(j.tags, sizeof j.tags);
  char link[] = "/proc/self/fd/0";
  link[sizeof link - 2] = static_cast<char>('0' + fd);
  // Without a path it stays, empty, for the next start.
  long n = Insist(0, __NR_readlinkat, kAtFdCwd, P(link), P(j.path), sizeof j.path - 1);
  j.path[n > 0 ? n : 0] = 0;
}

bool ToBeNoted(const Context& c, int parent) {
  constexpr uint32_t kCgroup = 0x27e0eb, kCgroup2 = 0x63677270;
  if (c.home->journal == nullptr) return false;
  StatFs st;
  if (Sys(__NR_fstatfs, parent, P(&st)) != 0) return false;
  auto type = static_cast<uint32_t>(st.type);
  return type == kCgroup || type == kCgroup2;
}

int MakeNoted(Context& c, int parent, const char* name, const Arg* a) {
  Journal& j = *c.home->journal;
  uint32_t index;
  if (int error = Intend(j, a[1], &index)) {
    c.journalFailed = true;
    return error;
  }
  StopAt(Stop::beforeMkdir);
  long made = Sys(__NR_mkdirat, parent, P(name), static_cast<long>(a[2].number));
  if (made != 0) {
    Free(j, index);
    return static_cast<int>(made);
  }
  StopAt(Stop::afterMkdir);
  int error = Confirm(j, index, a[1], parent, name);
  if (error == 0) return 0;
  Sys(__NR_unlinkat, parent, P(name), kRemoveDir);
  Free(j, index);
  c.journalFailed = true;
  return error;
}

void Forget(const Home& home, const Arg& path) {
  if (home.journal == nullptr) return;
  Journal& j = *home.journal;
  uint32_t tag = Tag(Crc(0, path.text, path.size));
  for (uint32_t i = 0; i < j.top; i++)
    if (j.tags[i] == tag && Names(j, i, path)) return Free(j, i);
}

void EndJournal(const Home& home) {
  if (home.journal == nullptr || home.journal->used != 0 || home.journal->path[0] != '/') return;
  const char* path = home.journal->path;
  // Once it has looked for a home, its own root may not be the host's any more.
  const bool away = home.host >= 0;
  Insist(kEnoent, __NR_unlinkat, away ? home.host : kAtFdCwd, P(away ? path + 1 : path));
}

}  // namespace ringfort
