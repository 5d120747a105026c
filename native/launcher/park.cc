// Programs that are set up in advance. A parked one stands behind all of its walls and waits at its
// `park` step. Its release brings the rest: a plan (PLAN_RELEASE) whose prepare section sets
// limits, and whose child section is the last steps up to exec, with the program's three streams.
#include "launcher/container.h"
#include "launcher/inside.h"

namespace ringfort {
namespace {

// A string takes eight bytes at least, so more of them do not come in one message.
constexpr uint64_t kPointers = kInlinePlanBytes / 8 + 2;

// Limits, for which the program still has done nothing.
int Limit(Launcher& l, Container& record, const SectionView& prepare) {
  Context c = {};
  c.home = &l.home;
  c.slots = l.slots;
  c.side = SIDE_P;
  c.oomEvent = record.oomEvent;
  int error = RunSection(c, prepare, &record.failedStep);
  if (record.oomEvent >= 0 || c.oomEvent < 0) return error;
  record.oomEvent = c.oomEvent;
  int watched = Watching(l, c.oomEvent, Watch::oom, static_cast<uint32_t>(&record - l.table));
  return error != 0 ? error : watched;
}

int Forward(const Container& record, const SectionView& child, const int* fds) {
  RequestHeader header{static_cast<uint32_t>(Request::release), record.number, child.steps,
                       child.size};
  struct {
    CmsgHeader head;
    int fds[kReleaseFds];
  } control = {{sizeof(CmsgHeader) + kReleaseFds * sizeof(int), kSolSocket, kScmRights}, {}};
  for (uint32_t i = 0; i < kReleaseFds; i++) control.fds[i] = fds[i];
  IoVec parts[2] = {{&header, sizeof header}, {const_cast<uint8_t*>(child.at), child.size}};
  MsgHeader message{nullptr, 0, parts, 2, &control, control.head.len, 0};
  long n;
  // Never waits: it is the only message there is on this socket.
  do n = Sys(__NR_sendmsg, record.sync, P(&message), kMsgNosignal | kMsgDontwait);
  while (n == -kEintr);
  return n < 0 ? static_cast<int>(n) : 0;
}

int Carry(Launcher& l, Container& record, const Received& request) {
  PlanView plan;
  PlanFault fault = {static_cast<uint32_t>(Section::launcher), 0};
  int error = request.fdsLost ? -kEmfile : 0;
  // A large plan would come as a memfd, for which a filter may leave no mmap.
  if (error == 0 && request.bodySize != request.header.size) error = -kEproto;
  if (error == 0) error = CheckPlan(request.body, request.bodySize, request.fdCount, &plan, &fault);
  record.failedSection = fault.section;
  record.failedStep = fault.step;
  if (error != 0) return error;
  record.failedSection = static_cast<uint32_t>(Section::launcher);
  record.failedStep = 0;
  if (plan.header.flags != PLAN_RELEASE || !record.parked) return -kEproto;
  record.parked = false;
  record.failedSection = static_cast<uint32_t>(Section::prepare);
  error = Limit(l, record, plan.section[static_cast<uint32_t>(Section::prepare)]);
  if (error != 0) return error;
  record.failedSection = static_cast<uint32_t>(Section::launcher);
  record.failedStep = 0;
  // From here on a step is one of the release's.
  record.report->step = 0;
  return Forward(record, plan.section[static_cast<uint32_t>(Section::child)], request.fds);
}

}  // namespace

void Release(Launcher& l, Client& client, Received& request) {
  Container* record = FindFor(l, client, request.header.id);
  // One that has ended meanwhile: its client is told so anyway.
  bool waits = record != nullptr && record->state == State::starting && !record->killed;
  if (int error = waits ? Carry(l, *record, request) : 0; error != 0) {
    record->state = State::failed;
    record->failedError = error;
    Kill(l, *record);
  }
  // Arguments and environment may be secrets.
  Zero(request.body, request.bodySize);
}

int ReserveVectors(Context& c) {
  c.argv = static_cast<const char**>(Map(kPointers * sizeof(char*), false));
  return c.argv == nullptr ? -kEnomem : 0;
}

// The filter is in force already: no more than write(2) and recvmsg(2) here, and what the steps of
// a release do. lib/policy/releaseCalls.ts asks the filter for these.
int Step_park(Context& c, const Arg* a) {
  if (Write(c.sync, &kWordHeld, 1) != 1) return -kEpipe;
  Received request;
  int result = Receive(c.sync, &request);
  // The end of the launcher, or of whoever wanted it parked.
  if (result <= 0) return result == 0 ? -kEpipe : result;
  if (request.header.type != static_cast<uint32_t>(Request::release) || request.fdsLost ||
      request.fdCount != kReleaseFds || request.bodySize != request.header.size)
    return -kEproto;
  for (uint32_t i = 0; i < kReleaseFds; i++) c.slots[i] = request.fds[i];
  SectionView rest{request.body, request.bodySize, request.header.arg};
  uint32_t failed;
  // Its steps are none of the plan that is traced.
  c.stampRoom = 0;
  if (int error = FillVectors(c, rest, kPointers)) return error;
  return RunSection(c, rest, &failed);
}

}  // namespace ringfort
