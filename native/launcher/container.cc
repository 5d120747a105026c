#include "launcher/container.h"

namespace ringfort {
namespace {

constexpr uint32_t kPages = 64;
// Whatever the size of a page, up to 64 KiB; what nobody touches takes no memory.
constexpr size_t kStride = 1u << 16, kPagesSize = (kPages + 1) * kStride;

ReportPages* MapReportPages() {
  void* at = Map(kPagesSize, true);
  if (at != nullptr) KeepFromChildren(at, kPagesSize);
  return static_cast<ReportPages*>(at);
}

void DropReport(Launcher& l, Container& c) {
  if (c.report == nullptr) return;
  if (c.pages == nullptr) return Unmap(c.report, sizeof(ChildReport));
  GiveBack(c.report, sizeof(ChildReport));
  if (--c.pages->live == 0 && c.pages != l.pages) Unmap(c.pages, kPagesSize);
}

// Without a descriptor: 0 would be one.
Container Blank() {
  Container c = {};
  c.pidfd = c.sync = c.oomEvent = c.control = -1;
  for (int& fd : c.target) fd = -1;
  return c;
}

}  // namespace

ChildReport* ReportForChild(Launcher& l, Container& c) {
  if (l.pages == nullptr || l.pages->used == kPages) {
    ReportPages* fresh = MapReportPages();
    if (fresh == nullptr) return nullptr;
    if (l.pages != nullptr && l.pages->live == 0) Unmap(l.pages, kPagesSize);
    l.pages = fresh;
  }
  c.pages = l.pages;
  c.pages->live++;
  uint8_t* page = reinterpret_cast<uint8_t*>(c.pages) + ++c.pages->used * kStride;
  c.report = reinterpret_cast<ChildReport*>(page);
  c.report->step = ~0u;
  return static_cast<ChildReport*>(MapForChildren(page, sizeof(ChildReport)));
}

Container* FindContainer(Launcher& l, uint32_t number) {
  for (uint32_t i = 0; i < l.capacity; i++)
    if (l.table[i].state != State::unused && l.table[i].number == number) return &l.table[i];
  return nullptr;
}

Container* FindFor(Launcher& l, const Client& client, uint32_t id) {
  for (uint32_t i = 0; i < l.capacity; i++) {
    Container& c = l.table[i];
    if (c.state == State::unused || c.id != id) continue;
    if (c.client == client.serial || (l.monitor.detached && c.number == l.monitor.container))
      return &c;
  }
  return nullptr;
}

Container* NewContainer(Launcher& l) {
  for (uint32_t i = 0; i < l.capacity; i++) {
    if (l.table[i].state != State::unused) continue;
    l.table[i] = Blank();
    if (++l.nextNumber == 0) l.nextNumber++;
    l.table[i].number = l.nextNumber;
    return &l.table[i];
  }
  uint32_t capacity = l.capacity == 0 ? 64 : l.capacity * 2;
  auto* table = static_cast<Container*>(Map(capacity * sizeof(Container), false));
  if (table == nullptr) return nullptr;
  // It is the launcher's alone.
  KeepFromChildren(table, capacity * sizeof(Container));
  if (l.table != nullptr) {
    __builtin_memcpy(table, l.table, l.capacity * sizeof(Container));
    Unmap(l.table, l.capacity * sizeof(Container));
  }
  l.table = table;
  l.capacity = capacity;
  return NewContainer(l);
}

void ForgetContainer(Launcher& l, Container& c) {
  Unwatch(l, &c.pidfd);
  Unwatch(l, &c.sync);
  Unwatch(l, &c.oomEvent);
  Unwatch(l, &c.control);
  for (int fd : c.target)
    if (fd >= 0) Close(fd);
  DropReport(l, c);
  if (c.teardown != nullptr) Unmap(c.teardown, c.teardownSize);
  c = Blank();
  l.live--;
}

int Watching(Launcher& l, int fd, Watch kind, uint32_t index) {
  constexpr long kAdd = 1;
  EpollEvent event{kEpollin, static_cast<uint64_t>(index) << 8 | static_cast<uint64_t>(kind)};
  return static_cast<int>(Insist(0, __NR_epoll_ctl, l.poll, kAdd, fd, P(&event)));
}

void StopWatching(Launcher& l, int fd) {
  constexpr long kDelete = 2;
  EpollEvent event{};
  Sys(__NR_epoll_ctl, l.poll, kDelete, fd, P(&event));
}

void Unwatch(Launcher& l, int* fd) {
  if (*fd < 0) return;
  // Children that were cloned meanwhile still hold a copy, so closing alone would not remove it.
  StopWatching(l, *fd);
  Close(*fd);
  *fd = -1;
}

uint64_t NowNs() {
  constexpr long kMonotonic = 1;
  TimeSpec now;
  // Without a time nothing would ever be retried.
  if (Insist(0, __NR_clock_gettime, kMonotonic, P(&now)) != 0) Exit(71);
  return static_cast<uint64_t>(now.sec * 1000000000 + now.nsec);
}

int64_t Now() { return static_cast<int64_t>(NowNs() / 1000000); }

void Mark(Container& c, Phase phase) {
  if (c.traced) c.report->trace.phase[phase] = Ticks();
}

}  // namespace ringfort
