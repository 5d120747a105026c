// Steps on descriptors and files.
#include "launcher/journal.h"

namespace ringfort {
namespace {

int WriteAll(int fd, const Arg& data) {
  long n = Write(fd, data.text, data.size);
  if (n < 0) return static_cast<int>(n);
  // Kernel files take a value in one write or not at all.
  return static_cast<uint32_t>(n) == data.size ? 0 : -kEio;
}

// Splits `a/b/c` into a descriptor of `a/b` and the name `c`.
int OpenParent(const Context& c, uint64_t slot, const char* path, const char** name) {
  char parent[4096];
  size_t length = Length(path), cut = length;
  if (length >= sizeof parent) return -kEinval;
  while (cut > 0 && path[cut - 1] != '/') cut--;
  *name = path + cut;
  __builtin_memcpy(parent, path, cut);
  parent[cut] = 0;
  return OpenBelow(c, slot, cut == 0 ? "." : parent, kOPath | kODirectory, kResolveNoMagiclinks);
}

bool SameText(const char* read, size_t size, const Arg& want) {
  while (size > 0 && (read[size - 1] == '\n' || read[size - 1] == 0)) size--;
  size_t length = want.size;
  while (length > 0 && want.text[length - 1] == '\n') length--;
  if (size != length) return false;
  for (size_t i = 0; i < size; i++) {
    // sysctl files answer a space-separated list with tabs.
    char a = read[i] == '\t' ? ' ' : read[i];
    if (a != want.text[i]) return false;
  }
  return true;
}

int WriteProc(int proc, const char* path, const Arg& data, bool readBack) {
  constexpr uint64_t kStrict = kResolveBeneath | kResolveNoMagiclinks | kResolveNoXdev;
  int fd = OpenAt2(proc, path, kOWriteOnly, kStrict);
  if (fd < 0) return fd;
  int error = WriteAll(fd, data);
  Close(fd);
  if (error != 0 || !readBack) return error;
  char back[1024];
  fd = OpenAt2(proc, path, kOReadOnly, kStrict);
  if (fd < 0) return fd;
  long n = Read(fd, back, sizeof back);
  Close(fd);
  if (n < 0) return static_cast<int>(n);
  return SameText(back, static_cast<size_t>(n), data) ? 0 : -kEio;
}

}  // namespace

int ProcPath(const Context& c, const char* file, char* path, size_t room) {
  size_t length = Length(file);
  if (length + 16 > room) return -kEinval;
  if (c.side != SIDE_A || !Equal(file, "self/", 5)) {
    __builtin_memcpy(path, file, length + 1);
    return 0;
  }
  char digits[12];
  int count = 0;
  for (int pid = c.pid; pid > 0; pid /= 10) digits[count++] = static_cast<char>('0' + pid % 10);
  size_t at = 0;
  while (count > 0) path[at++] = digits[--count];
  __builtin_memcpy(path + at, file + 4, length - 4 + 1);
  return 0;
}

int Step_open(Context& c, const Arg* a) {
  return Keep(c, a[0].number,
              OpenBelow(c, a[1].number, a[2].text, a[3].number, a[4].number, a[5].number));
}

int Step_close(Context& c, const Arg* a) {
  Close(c.slots[a[0].number]);
  c.slots[a[0].number] = -1;
  return 0;
}

int Step_write(Context& c, const Arg* a) {
  int fd = OpenBelow(c, a[0].number, a[1].text, kOWriteOnly, kResolveNoMagiclinks);
  if (fd < 0) return fd;
  int error = WriteAll(fd, a[2]);
  Close(fd);
  return error;
}

int Step_writeOnKill(Context& c, const Arg* a) { return Step_write(c, a); }

int Step_writeFd(Context& c, const Arg* a) { return WriteAll(SlotFd(c, a[0].number), a[1]); }

int Step_create(Context& c, const Arg* a) {
  const char* name;
  int parent = OpenParent(c, a[0].number, a[1].text, &name);
  if (parent < 0) return parent;
  constexpr long kNew = kOWriteOnly | kOCreat | kOExcl | kONofollow | kOCloexec;
  long fd = Sys(__NR_openat, parent, P(name), kNew, static_cast<long>(a[2].number));
  Close(parent);
  if (fd < 0) return static_cast<int>(fd);
  int error = a[3].size == 0 ? 0 : WriteAll(static_cast<int>(fd), a[3]);
  Close(static_cast<int>(fd));
  return error;
}

int Step_mkdir(Context& c, const Arg* a) {
  const char* name;
  int parent = OpenParent(c, a[0].number, a[1].text, &name);
  if (parent < 0) return parent;
  bool noted = c.side == SIDE_P && a[0].number == kSlotHost && ToBeNoted(c, parent);
  long error = noted ? MakeNoted(c, parent, name, a)
                     : Sys(__NR_mkdirat, parent, P(name), static_cast<long>(a[2].number));
  Close(parent);
  return error == -kEexist && a[3].number != 0 ? 0 : static_cast<int>(error);
}

// The owner of what is there already; an id of 2^32 - 1 stays as it is (chown(2)).
int Step_chown(Context& c, const Arg* a) {
  int fd = OpenBelow(c, a[0].number, a[1].text, kOPath, kResolveNoMagiclinks | kResolveNoSymlinks);
  if (fd < 0) return fd;
  long error = Sys(__NR_fchownat, fd, P(""), static_cast<long>(a[2].number),
                   static_cast<long>(a[3].number), kAtEmptyPath);
  Close(fd);
  return static_cast<int>(error);
}

int Step_symlink(Context& c, const Arg* a) {
  const char* name;
  int parent = OpenParent(c, a[0].number, a[2].text, &name);
  if (parent < 0) return parent;
  long error = Sys(__NR_symlinkat, P(a[1].text), parent, P(name));
  Close(parent);
  return static_cast<int>(error);
}

int Step_rmdir(Context& c, const Arg* a) {
  constexpr long kRemoveDir = 0x200;
  const char* name;
  int parent = OpenParent(c, a[0].number, a[1].text, &name);
  if (parent < 0) return parent;
  long error = Sys(__NR_unlinkat, parent, P(name), kRemoveDir);
  Close(parent);
  return static_cast<int>(error);
}

int Step_procWrite(Context& c, const Arg* a) {
  char path[512];
  if (int error = ProcPath(c, a[0].text, path, sizeof path)) return error;
  return WriteProc(c.home->proc, path, a[1], a[2].number != 0);
}

int Step_sysctl(Context& c, const Arg* a) {
  return WriteProc(SlotFd(c, a[0].number), a[1].text, a[2], true);
}

int Step_verifyDevice(Context& c, const Arg* a) {
  constexpr long kStatxType = 1;
  StatX st;
  long error = Sys(__NR_statx, SlotFd(c, a[0].number), P(""), kAtEmptyPath, kStatxType, P(&st));
  if (error < 0) return static_cast<int>(error);
  bool same =
      (st.mode & kSIfmt) == kSIfchr && st.rdev_major == a[1].number && st.rdev_minor == a[2].number;
  return same ? 0 : -kEnodev;
}

int Step_verifyFs(Context& c, const Arg* a) {
  StatFs st;
  long error = Sys(__NR_fstatfs, SlotFd(c, a[0].number), P(&st));
  if (error < 0) return static_cast<int>(error);
  return static_cast<uint32_t>(st.type) == a[1].number ? 0 : -kEinval;
}

// The launcher's teardown reads files itself, because it keeps what they say (teardown.cc).
int Step_read(Context& c, const Arg* a) { return -kEproto; }

}  // namespace ringfort
