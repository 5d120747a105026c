#include "launcher/reader.h"

namespace ringfort {
namespace {

struct StepKind {
  const char* signature;
  uint32_t sides, needs, raises;
};

constexpr StepKind kSteps[] = {
#define STEP(name, signature, sides, needs, raises) {signature, sides, needs, raises},
#include "steps.def"
#undef STEP
};

uint32_t Load32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 |
         static_cast<uint32_t>(at[2]) << 16 | static_cast<uint32_t>(at[3]) << 24;
}

// A cursor that never leaves its record. Positions and sizes are multiples of four.
struct Cursor {
  const uint8_t* at;
  uint32_t left;

  bool Take32(uint64_t* value) {
    if (left < 4) return false;
    *value = Load32(at);
    at += 4;
    left -= 4;
    return true;
  }

  bool Take64(uint64_t* value) {
    uint64_t low, high;
    if (!Take32(&low) || !Take32(&high)) return false;
    *value = low | high << 32;
    return true;
  }

  // `extra` is 1 for strings: the terminating NUL.
  bool TakeBytes(Arg* arg, uint32_t extra) {
    uint64_t size;
    if (!Take32(&size) || size > left) return false;
    uint64_t padded = (size + extra + 3) & ~uint64_t{3};
    if (padded > left) return false;
    for (uint64_t i = size; i < padded; i++)
      if (at[i] != 0) return false;
    arg->text = reinterpret_cast<const char*>(at);
    arg->size = static_cast<uint32_t>(size);
    at += padded;
    left -= static_cast<uint32_t>(padded);
    return true;
  }

  bool TakeString(Arg* arg) {
    if (!TakeBytes(arg, 1)) return false;
    for (uint32_t i = 0; i < arg->size; i++)
      if (arg->text[i] == 0) return false;
    return true;
  }

  bool TakeList(Arg* arg) {
    if (!Take32(&arg->number)) return false;
    arg->text = reinterpret_cast<const char*>(at);
    const uint8_t* start = at;
    for (uint64_t i = 0; i < arg->number; i++) {
      Arg item;
      if (!TakeString(&item)) return false;
    }
    arg->size = static_cast<uint32_t>(at - start);
    return true;
  }

  bool Take(char kind, Arg* arg) {
    switch (kind) {
      case 'u':
      case 'f':
      case 'o': return Take32(&arg->number);
      case 'q': return Take64(&arg->number);
      case 's': return TakeString(arg);
      case 'b': return TakeBytes(arg, 0);
      case 'v': return TakeList(arg);
      default: return false;
    }
  }
};

// Which slots hold a descriptor at this point of the plan.
class Slots {
 public:
  Slots(uint32_t count, bool joins) : count_(count), joins_(joins), filled_{} {}
  bool Fill(uint64_t slot) {
    if (slot >= count_ || Holds(slot)) return false;
    filled_[slot / 32] |= 1u << slot % 32;
    return true;
  }
  bool Clear(uint64_t slot) {
    if (slot >= count_ || !Holds(slot)) return false;
    filled_[slot / 32] &= ~(1u << slot % 32);
    return true;
  }
  bool Readable(uint64_t slot) const {
    bool given = slot == kSlotHost || slot == kSlotProc || slot == kSlotHome || slot == kSlotNone;
    bool target = joins_ && slot >= kSlotTarget && slot < kSlotTarget + kTargetCount;
    return given || target || (slot < count_ && Holds(slot));
  }

 private:
  bool Holds(uint64_t slot) const { return (filled_[slot / 32] >> slot % 32 & 1) != 0; }
  uint32_t count_;
  bool joins_;
  uint32_t filled_[kMaxSlots / 32];
};

// What prepare opens serves attend and the child; teardown has to do without.
bool CheckSlots(const StepView& step, Slots* slots, uint32_t side) {
  const char* signature = kSteps[static_cast<uint32_t>(step.op)].signature;
  for (int i = 0; signature[i] != 0; i++) {
    uint64_t number = step.arg[i].number;
    if (signature[i] == 'f') {
      if (!slots->Readable(number) || (side == SIDE_T && number < kMaxSlots)) return false;
    } else if (signature[i] == 'o' && !slots->Fill(number)) {
      return false;
    }
  }
  return step.op != Op::close || slots->Clear(step.arg[0].number);
}

// The launcher's own order check: it does not trust the compiler of plans.
struct OrderCheck {
  uint32_t walls;
  uint32_t flags;
  bool waited = false, executed = false;

  bool Step(const StepView& step) {
    const StepKind& kind = kSteps[static_cast<uint32_t>(step.op)];
    if (executed || (kind.needs & ~walls) != 0) return false;
    walls |= kind.raises;
    if (step.op == Op::wait) {
      if (waited) return false;
      waited = true;
    }
    // The root that was joined has been pivoted into already.
    if (step.op == Op::setns && step.arg[0].number == kSlotTarget + 1) walls |= WALL_PIVOT;
    if (step.op == Op::exec) executed = step.arg[0].number > 0 && step.arg[1].number > 0;
    // Four steps never return: nothing comes after them, and a child must end in one.
    if (step.op == Op::serve) executed = (flags & PLAN_SERVE) != 0;
    if (step.op == Op::serveFiles) executed = true;
    if (step.op == Op::park) executed = true;
    // Who is to be parked is, and nobody else.
    if (executed && (step.op == Op::park) != ((flags & PLAN_PARK) != 0)) return false;
    return (step.op != Op::exec && step.op != Op::serve) || executed;
  }

  // Only a new container has to wait for what is done from outside.
  bool Complete() const {
    constexpr uint32_t kNoWait = PLAN_INSIDE | PLAN_JOIN | PLAN_RELEASE;
    return executed && waited == ((flags & kNoWait) == 0);
  }
};

bool SetnsAllowed(const StepView& step, uint32_t side) {
  if (step.op != Op::setns || side != SIDE_P) return true;
  // The launcher could never come back from another user namespace, nor from one whose type it was
  // not told: setns(2) takes 0 for any type, and for a pidfd several at once.
  constexpr uint64_t kJoinable = kCloneNewns | kCloneNewcgroup | kCloneNewuts | kCloneNewipc |
                                 kCloneNewpid | kCloneNewnet | kCloneNewtime;
  return step.arg[1].number != 0 && (step.arg[1].number & ~kJoinable) == 0;
}

// What may still be done for a program that stands behind all of its walls.
bool ReleaseAllowed(Op op, uint32_t side) {
  if (side == SIDE_P) return op == Op::write || op == Op::watchOom;
  return op == Op::stdio || op == Op::closeAll || op == Op::chdir || op == Op::rlimit ||
         op == Op::umask || op == Op::exec;
}

// The walls that the child of a plan has come from behind.
uint32_t Given(uint32_t flags) {
  // Those of its parked program were checked with the plan that ended there; what has come since,
  // its descriptors, has to be closed once more.
  if ((flags & PLAN_RELEASE) != 0) return uint32_t{WALL_ALL} & ~uint32_t{WALL_FDS};
  // An init is behind that wall, and so is what it forks.
  return (flags & PLAN_INSIDE) != 0 ? uint32_t{WALL_PIVOT} : 0;
}

int CheckSection(PlanView* view, uint32_t index, Slots* slots, PlanFault* fault) {
  const uint32_t side = 1u << index;
  SectionView& section = view->section[index];
  const uint32_t flags = view->header.flags;
  OrderCheck order{view->header.waived | Given(flags), flags};
  uint32_t offset = 0;
  for (uint32_t i = 0; i < section.steps; i++) {
    fault->step = i;
    StepView step;
    if (!DecodeStep(section.at + offset, section.size - offset, &step)) return -kEproto;
    if ((kSteps[static_cast<uint32_t>(step.op)].sides & side) == 0) return -kEproto;
    if (!SetnsAllowed(step, side)) return -kEproto;
    if (flags == PLAN_RELEASE && !ReleaseAllowed(step.op, side)) return -kEproto;
    if (!CheckSlots(step, slots, side)) return -kEproto;
    if (side == SIDE_C && !order.Step(step)) return -kEproto;
    offset += step.size;
  }
  if (offset != section.size) return -kEproto;
  if (side == SIDE_C && !order.Complete()) return -kEproto;
  return 0;
}

// A plan is for one thing. A program in a container makes no namespaces by its clone, and nothing
// waits for it to be attended to.
bool FlagsAllowed(const PlanHeader& header) {
  switch (header.flags) {
    case 0:
    case PLAN_SERVE: return true;
    case PLAN_INSIDE:
    case PLAN_JOIN:
    case PLAN_INSIDE | PLAN_PARK:
    case PLAN_JOIN | PLAN_PARK: return header.cloneFlags == 0 && header.stepCount[1] == 0;
    case PLAN_RELEASE:
      return header.cloneFlags == 0 && header.stepCount[1] == 0 && header.stepCount[3] == 0 &&
             header.fdCount == kReleaseFds && header.slotCount == kReleaseFds &&
             header.waived == 0 && header.intoCgroup == kSlotNone;
    default: return false;
  }
}

int CheckHeader(const uint8_t* bytes, uint32_t size, uint32_t fds, PlanView* view) {
  PlanHeader* header = &view->header;
  if (size < sizeof(PlanHeader) || size > kMaxPlanBytes) return -kEproto;
  __builtin_memcpy(header, bytes, sizeof *header);
  if (header->magic != kPlanMagic || header->version != kPlanVersion) return -kEproto;
  view->traced = (header->flags & PLAN_TRACE) != 0;
  header->flags &= ~uint32_t{PLAN_TRACE};
  if (header->size != size || !FlagsAllowed(*header)) return -kEproto;
  if (header->fdCount != fds || header->fdCount > header->slotCount) return -kEproto;
  if (header->slotCount > kMaxSlots || (header->waived & ~uint32_t{WALL_ALL}) != 0) return -kEproto;
  constexpr uint64_t kNamespaces = kCloneNewns | kCloneNewcgroup | kCloneNewuts | kCloneNewipc |
                                   kCloneNewuser | kCloneNewpid | kCloneNewnet | kCloneNewtime;
  if ((header->cloneFlags & ~kNamespaces) != 0) return -kEproto;
  return 0;
}

}  // namespace

bool DecodeStep(const uint8_t* at, uint32_t left, StepView* step) {
  if (left < sizeof(StepHeader)) return false;
  uint32_t op = Load32(at), size = Load32(at + 4);
  if (op >= static_cast<uint32_t>(Op::count)) return false;
  if (size < sizeof(StepHeader) || size > left || size % 4 != 0) return false;
  step->op = static_cast<Op>(op);
  step->size = size;
  Cursor cursor{at + sizeof(StepHeader), size - static_cast<uint32_t>(sizeof(StepHeader))};
  const char* signature = kSteps[op].signature;
  for (int i = 0; signature[i] != 0; i++) {
    step->arg[i] = Arg{0, nullptr, 0};
    if (!cursor.Take(signature[i], &step->arg[i])) return false;
  }
  return cursor.left == 0;
}

int CheckPlan(const uint8_t* bytes, uint32_t size, uint32_t fds, PlanView* view, PlanFault* fault) {
  *fault = PlanFault{static_cast<uint32_t>(Section::launcher), 0};
  if (int error = CheckHeader(bytes, size, fds, view)) return error;
  uint64_t offset = sizeof(PlanHeader), steps = 0;
  for (int i = 0; i < 4; i++) {
    view->section[i] = {bytes + offset, view->header.sectionSize[i], view->header.stepCount[i]};
    offset += view->header.sectionSize[i];
    steps += view->header.stepCount[i];
    if (offset > size) return -kEproto;
  }
  if (offset != size || steps > kMaxSteps) return -kEproto;
  Slots slots(view->header.slotCount, (view->header.flags & PLAN_JOIN) != 0);
  for (uint32_t i = 0; i < fds; i++) slots.Fill(i);
  for (uint32_t i = 0; i < 4; i++) {
    fault->section = i;
    // The child starts with what prepare has opened; a cgroup to be born in must be among it.
    if (i == static_cast<uint32_t>(Section::child) && view->header.intoCgroup != kSlotNone &&
        (view->header.intoCgroup >= kMaxSlots || !slots.Readable(view->header.intoCgroup)))
      return -kEproto;
    if (int error = CheckSection(view, i, &slots, fault)) return error;
  }
  return 0;
}

const char* StringList::Next(uint32_t* size) {
  if (left_ == 0) return nullptr;
  left_--;
  uint32_t length = Load32(reinterpret_cast<const uint8_t*>(at_));
  const char* text = at_ + 4;
  at_ = text + ((length + 1 + 3) & ~3u);
  if (size != nullptr) *size = length;
  return text;
}

}  // namespace ringfort
