// The file agent's copy of one file's data into another, without a detour through Node.
#include "launcher/file_agent.h"

namespace ringfort {
namespace {

constexpr long kSeekSet = 0, kSeekData = 3, kSeekHole = 4;
constexpr uint32_t kSIfreg = 0100000;
constexpr int kEnxio = 6, kExdev = 18, kEopnotsupp = 95;
// Runs of data that one request copies, so that a file of nothing but holes does not hold it up.
constexpr uint32_t kMaxRuns = 256;

// The file that a path means, opened anew.
int OpenRegular(const FileAgent& a, const FileRequestView& r, uint64_t flags, StatX* st) {
  Target target = OpenTarget(a, r);
  if (target.fd() < 0) return target.fd();
  if (int error = StatTarget(target.fd(), st)) return error;
  if ((st->mode & kSIfmt) != kSIfreg) return -kEinval;
  return ReopenTarget(a, target.fd(), flags);
}

// Copies up to `most` bytes from `at` to the same place; the count, 0 at the end.
long CopyRun(int in, int out, uint64_t at, uint64_t most) {
  int64_t from = static_cast<int64_t>(at), to = from;
  long n = Sys(__NR_copy_file_range, in, P(&from), out, P(&to), static_cast<long>(most), 0);
  if (n > 0) return n;
  // Not between these two file systems, or not by this kernel (copy_file_range(2)).
  if (n < 0 && n != -kExdev && n != -kEinval && n != -kEopnotsupp && n != -kEnosys) return n;
  n = Sys(__NR_lseek, out, static_cast<long>(at), kSeekSet);
  if (n < 0) return n;
  from = static_cast<int64_t>(at);
  return Sys(__NR_sendfile, out, in, P(&from), static_cast<long>(most));
}

}  // namespace

int FileOp_copyData(FileAgent& a, const FileRequestView& r) {
  FileRequestView second = r;
  second.header.dir = r.header.dir2;
  second.path = r.path2;
  second.header.pathSize = r.header.path2Size;
  StatX st, other;
  Target in(OpenRegular(a, r, kOReadOnly, &st), true);
  if (in.fd() < 0) return in.fd();
  Target out(OpenRegular(a, second, kOWriteOnly, &other), true);
  if (out.fd() < 0) return out.fd();
  uint64_t at = r.header.number[0], left = r.header.number[1];
  if (at > st.size) return -kEinval;
  for (uint32_t runs = 0; runs < kMaxRuns && left > 0 && at < st.size; runs++) {
    long data = Sys(__NR_lseek, in.fd(), static_cast<long>(at), kSeekData);
    if (data == -kEnxio) at = st.size;
    if (data == -kEnxio) break;
    if (data < 0) return static_cast<int>(data);
    long hole = Sys(__NR_lseek, in.fd(), data, kSeekHole);
    if (hole < 0) return static_cast<int>(hole);
    uint64_t length = static_cast<uint64_t>(hole - data);
    long n = CopyRun(in.fd(), out.fd(), static_cast<uint64_t>(data), length < left ? length : left);
    if (n < 0) return static_cast<int>(n);
    at = n == 0 ? st.size : static_cast<uint64_t>(data + n);
    left -= static_cast<uint64_t>(n);
  }
  a.last = at >= st.size;
  // A hole at the end has no data that would make the file as long.
  if (a.last)
    if (long error = Sys(__NR_ftruncate, out.fd(), static_cast<long>(st.size)))
      return static_cast<int>(error);
  __builtin_memcpy(a.data, &at, sizeof at);
  a.dataSize = sizeof at;
  return 0;
}

}  // namespace ringfort
