// What the plan reader lets through and what it refuses: headers, records, slots and order.
#include "launcher/reader.h"

#include <algorithm>
#include <vector>

#include "check.h"
#include "launcher/kernel.h"
#include "plans.h"

using namespace ringfort;
using namespace ringfort::test;

namespace {

constexpr uint32_t kLauncher = static_cast<uint32_t>(Section::launcher);
enum : uint32_t { PREPARE, ATTEND, CHILD, TEARDOWN };

bool RefusedAt(const Verdict& verdict, uint32_t section, uint32_t step) {
  return verdict.error == -kEproto && verdict.fault.section == section &&
         verdict.fault.step == step;
}

bool RefusedAt(const TestPlan& plan, uint32_t section, uint32_t step) {
  return RefusedAt(Check(plan.Encode(), plan.fds), section, step);
}

// The small plan with its header changed.
template <typename Change>
bool HeaderRefused(Change change) {
  Bytes bytes = SmallPlan().Encode();
  PlanHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  change(header);
  std::memcpy(bytes.data(), &header, sizeof header);
  return RefusedAt(Check(bytes), kLauncher, 0);
}

// The small plan with something else done to it.
template <typename Change>
TestPlan Changed(Change change) {
  TestPlan plan = SmallPlan();
  change(plan);
  return plan;
}

void TestAccepted() {
  CHECK(Accepted(SmallPlan()));
  CHECK(Accepted(EveryStep()));
  for (const Signature& row : kSignatures)
    CHECK(std::strlen(row.letters) <= sizeof(StepView::arg) / sizeof(Arg));
}

void TestHeader() {
  CHECK(HeaderRefused([](PlanHeader& h) { h.magic++; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.version++; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.version = 0; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.size++; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.size -= 4; }));
  for (uint32_t flags : {3u, 5u, 6u, 8u, 9u, 14u, 16u, 18u, 24u, 0x80000000u})
    CHECK(HeaderRefused([flags](PlanHeader& h) { h.flags = flags; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.fdCount = 0; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.fdCount = 2; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.slotCount = 0; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.slotCount = kMaxSlots + 1; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.slotCount = 0xFFFFFFFF; }));
  CHECK(HeaderRefused([](PlanHeader& h) { h.waived = WALL_ALL + 1; }));
  for (int bit = 0; bit < 64; bit++) {
    const uint64_t flag = uint64_t{1} << bit;
    const bool allowed =
        (flag & (kCloneNewns | kCloneNewcgroup | kCloneNewuts | kCloneNewipc | kCloneNewuser |
                 kCloneNewpid | kCloneNewnet | kCloneNewtime)) != 0;
    CHECK(HeaderRefused([flag](PlanHeader& h) { h.cloneFlags = flag; }) != allowed);
  }
  for (uint32_t fds : {0u, 2u, kMaxFds})
    CHECK(RefusedAt(Check(SmallPlan().Encode(), fds), kLauncher, 0));
}

// Counts and sizes that say something else than what is there.
void TestSections() {
  for (int i = 0; i < 4; i++) {
    CHECK(HeaderRefused([i](PlanHeader& h) { h.sectionSize[i] += 4; }));
    CHECK(HeaderRefused([i](PlanHeader& h) { h.sectionSize[i] = 0xFFFFFFFF; }));
    CHECK(HeaderRefused([i](PlanHeader& h) { h.stepCount[i] = 0xFFFFFFFF; }));
    CHECK(HeaderRefused([i](PlanHeader& h) { h.stepCount[i] = kMaxSteps + 1; }));
  }
  const Bytes good = EveryStep().Encode();
  Bytes longer = good;
  Put32(&longer, 0);
  CHECK(RefusedAt(Check(longer), kLauncher, 0));
  Set32(&longer, offsetof(PlanHeader, size), static_cast<uint32_t>(longer.size()));
  CHECK(RefusedAt(Check(longer), kLauncher, 0));
  constexpr size_t kCounts = offsetof(PlanHeader, stepCount),
                   kSizes = offsetof(PlanHeader, sectionSize);
  for (size_t i = 0; i < 4; i++) {
    for (int more : {-1, 1}) {
      Bytes bytes = good;
      Set32(&bytes, kCounts + 4 * i, Get32(good, kCounts + 4 * i) + more);
      CHECK(Check(bytes).error == -kEproto);
    }
    for (size_t other = 0; other < 4; other++) {
      if (other == i) continue;
      // Sizes that still add up, with the border in another place.
      Bytes bytes = good;
      Set32(&bytes, kSizes + 4 * i, Get32(good, kSizes + 4 * i) - 4);
      Set32(&bytes, kSizes + 4 * other, Get32(good, kSizes + 4 * other) + 4);
      CHECK(Check(bytes).error == -kEproto);
    }
  }
}

void TestSteps() {
  const Bytes good = SmallPlan().Encode();
  const size_t first = sizeof(PlanHeader);
  for (uint32_t op : {static_cast<uint32_t>(Op::count), 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    Bytes bytes = good;
    Set32(&bytes, first, op);
    CHECK(RefusedAt(Check(bytes), CHILD, 0));
  }
  // Every record says a size that is not its own.
  for (uint32_t wrong : {0u, 4u, 7u, 9u, 12u, 0x7FFFFFFCu, 0xFFFFFFF8u, 0xFFFFFFFFu}) {
    Bytes bytes = good;
    Set32(&bytes, first + 4, wrong);
    CHECK(RefusedAt(Check(bytes), CHILD, 0));
  }
  // Every step on every side that may not run it, alone and in a plan that is good without it.
  for (int side = 0; side < 4; side++) {
    for (const Record& record : EveryStep().child) {
      const uint32_t sides = kSignatures[static_cast<uint32_t>(record.op)].sides;
      if ((sides & 1u << side) != 0) continue;
      TestPlan plan = SmallPlan();
      plan.slots = 64;
      (side == 0 ? plan.prepare : side == 1 ? plan.attend : plan.teardown) = {record};
      CHECK(RefusedAt(plan, static_cast<uint32_t>(side), 0));
    }
  }
  for (Op op : {Op::read, Op::rmdir, Op::watchOom, Op::idmapMount, Op::bpfDevice, Op::chown}) {
    for (const std::vector<Record>& from :
         {EveryStep().prepare, EveryStep().attend, EveryStep().teardown})
      for (const Record& record : from)
        if (record.op == op)
          CHECK(RefusedAt(Changed([&](TestPlan& p) { p.child.insert(p.child.begin(), record); }),
                          CHILD, 0));
  }
}

void TestTexts() {
  const auto text = [](const std::string& value) {
    return Changed(
        [&](TestPlan& p) { p.child.insert(p.child.begin(), Record(Op::sethostname).S(value)); });
  };
  for (const char* value : {"", "a", "ab", "abc", "abcd", "abcde"}) CHECK(Accepted(text(value)));
  CHECK(RefusedAt(text(std::string("a\0b", 3)), CHILD, 0));
  CHECK(RefusedAt(text(std::string("\0", 1)), CHILD, 0));
  CHECK(RefusedAt(text(std::string("abc\0", 4)), CHILD, 0));
  // Each byte of the padding, the terminating NUL among it.
  const Bytes good = text("a").Encode();
  const size_t at = sizeof(PlanHeader) + sizeof(StepHeader) + 4;
  for (size_t i = 1; i < 4; i++) {
    Bytes bytes = good;
    bytes[at + i] = 1;
    CHECK(RefusedAt(Check(bytes), CHILD, 0));
  }
  TestPlan data = SmallPlan();
  data.prepare = {Record(Op::writeFd).U(0).B("12345")};
  CHECK(Accepted(data));
  Bytes padded = data.Encode();
  padded[sizeof(PlanHeader) + sizeof(StepHeader) + 4 + 4 + 5] = 1;
  CHECK(RefusedAt(Check(padded), PREPARE, 0));
  // Bytes may hold a NUL, the strings of a list may not.
  data.prepare = {Record(Op::writeFd).U(0).B(std::string("a\0b", 3))};
  CHECK(Accepted(data));
  CHECK(RefusedAt(Changed([](TestPlan& p) {
                    p.child.back() =
                        Record(Op::exec).V({"/a"}).V({"a"}).V({std::string("A=\0", 3)});
                  }),
                  CHILD, 7));
}

void TestLists() {
  const auto with = [](uint32_t count) {
    TestPlan plan = SmallPlan();
    Record lies(Op::fsMount);
    lies.U(1).S("tmpfs").V({"a=1", "b"}).U(0);
    plan.slots = 2;
    plan.prepare = {lies};
    Bytes bytes = plan.Encode();
    const size_t at = sizeof(PlanHeader) + sizeof(StepHeader) + 4 + 4 + 8;
    CHECK(Get32(bytes, at) == 2);
    Set32(&bytes, at, count);
    return Check(bytes);
  };
  CHECK(with(2).walked);
  for (uint32_t count : {0u, 1u, 3u, 4u, 0x7FFFFFFFu, 0xFFFFFFFFu})
    CHECK(RefusedAt(with(count), PREPARE, 0));
}

void TestSlots() {
  const auto plan = [](std::vector<Record> prepare, std::vector<Record> teardown = {}) {
    return Changed([&](TestPlan& p) {
      p.slots = 3;
      p.prepare = std::move(prepare);
      p.teardown = std::move(teardown);
    });
  };
  const auto open = [](uint32_t slot) {
    return Record(Op::open).U(slot).U(kSlotHost).S("etc").U(0).Q(0).U(0);
  };
  const auto close = [](uint32_t slot) { return Record(Op::close).U(slot); };
  const auto verify = [](uint32_t slot) { return Record(Op::verifyFs).U(slot).U(0); };
  CHECK(Accepted(plan({open(1), verify(1), close(1), open(1), open(2), close(0)})) == false);
  CHECK(Accepted(plan({open(1), verify(1), close(1), open(1), open(2)})));
  for (uint32_t special : {kSlotHost, kSlotProc, kSlotHome, kSlotNone}) {
    CHECK(Accepted(plan({verify(special)})));
    CHECK(RefusedAt(plan({open(special)}), PREPARE, 0));
    CHECK(RefusedAt(plan({close(special)}), PREPARE, 0));
  }
  CHECK(RefusedAt(plan({verify(1)}), PREPARE, 0));         // not filled
  CHECK(RefusedAt(plan({open(1), open(1)}), PREPARE, 1));  // filled twice
  CHECK(RefusedAt(plan({open(0)}), PREPARE, 0));           // holds a passed descriptor
  CHECK(RefusedAt(plan({open(3)}), PREPARE, 0));           // beyond the plan's slots
  CHECK(RefusedAt(plan({verify(3)}), PREPARE, 0));
  CHECK(RefusedAt(plan({verify(kMaxSlots)}), PREPARE, 0));
  CHECK(RefusedAt(plan({verify(0xFFFFFFEF)}), PREPARE, 0));
  CHECK(RefusedAt(plan({open(1), close(1), verify(1)}), PREPARE, 2));
  CHECK(RefusedAt(plan({open(1), close(1), close(1)}), PREPARE, 2));
  // What the child's section reads after prepare has closed it.
  CHECK(RefusedAt(plan({close(0)}), CHILD, 1));
  for (uint32_t slot : {0u, 1u}) {
    const Record rmdir = Record(Op::rmdir).U(slot).S("x");
    CHECK(RefusedAt(plan({open(1)}, {rmdir}), TEARDOWN, 0));
  }
  CHECK(Accepted(plan({}, {Record(Op::rmdir).U(kSlotHost).S("x")})));
  TestPlan most = SmallPlan();
  most.slots = kMaxSlots;
  most.prepare = {open(kMaxSlots - 1)};
  CHECK(Accepted(most));
}

void TestIntoCgroup() {
  for (uint32_t slot : {1u, kSlotHost, kSlotHome, kMaxSlots, 0x7FFFFFFFu})
    CHECK(RefusedAt(Changed([slot](TestPlan& p) { p.intoCgroup = slot; }), CHILD, 0));
  CHECK(Accepted(Changed([](TestPlan& p) { p.intoCgroup = 0; })));
}

void TestWalls() {
  const uint32_t bits[] = {WALL_PIVOT, WALL_CAPS, WALL_NNP, WALL_SECCOMP, WALL_FDS, WALL_ASSERT};
  const Op raises[] = {Op::pivotRoot, Op::capset,   Op::noNewPrivs,
                       Op::seccomp,   Op::closeAll, Op::assert};
  for (int i = 0; i < 6; i++) {
    TestPlan plan = SmallPlan();
    size_t at = 0;
    while (plan.child[at].op != raises[i]) at++;
    plan.child.erase(plan.child.begin() + static_cast<long>(at));
    CHECK(!Accepted(plan));
    for (uint32_t other : bits) {
      plan.waived = other;
      CHECK(Accepted(plan) == (other == bits[i]));
    }
  }
  TestPlan bare;
  bare.child = {Record(Op::wait), SmallPlan().child.back()};
  CHECK(RefusedAt(bare, CHILD, 1));
  bare.waived = WALL_ALL;
  CHECK(Accepted(bare));
  // Each step that needs a wall, before the wall stands.
  for (const Record& record : EveryStep().child) {
    if (kSignatures[static_cast<uint32_t>(record.op)].needs == 0) continue;
    CHECK(RefusedAt(Changed([&](TestPlan& p) {
                      p.slots = 64;
                      p.child.insert(p.child.begin() + 1, record);
                    }),
                    CHILD, 1));
  }
}

void TestOrder() {
  const Record wait(Op::wait);
  CHECK(RefusedAt(Changed([&](TestPlan& p) { p.child.insert(p.child.begin(), wait); }), CHILD, 1));
  CHECK(!Accepted(Changed([](TestPlan& p) { p.child.erase(p.child.begin()); })));
  CHECK(!Accepted(Changed([](TestPlan& p) { p.child.pop_back(); })));
  CHECK(!Accepted(Changed([](TestPlan& p) { p.child.clear(); })));
  CHECK(
      RefusedAt(Changed([](TestPlan& p) { p.child.push_back(Record(Op::umask).U(0)); }), CHILD, 8));
  CHECK(RefusedAt(Changed([](TestPlan& p) { p.child.push_back(p.child.back()); }), CHILD, 8));
  const auto exec = [](std::initializer_list<std::string> candidates,
                       std::initializer_list<std::string> argv) {
    return Changed(
        [&](TestPlan& p) { p.child.back() = Record(Op::exec).V(candidates).V(argv).V({}); });
  };
  CHECK(Accepted(exec({"/a"}, {"a"})));
  CHECK(RefusedAt(exec({}, {"a"}), CHILD, 7));
  CHECK(RefusedAt(exec({"/a"}, {}), CHILD, 7));
}

// What a container whose init serves may end with, and programs for one that runs.
void TestFlags() {
  const TestPlan serve = Changed([](TestPlan& p) {
    p.flags = PLAN_SERVE;
    p.child = {Record(Op::wait), Record(Op::pivotRoot).U(0), Record(Op::serve)};
  });
  CHECK(Accepted(serve));
  TestPlan plan = serve;
  plan.flags = 0;
  CHECK(RefusedAt(plan, CHILD, 2));
  // A trace may be asked for beside any of them, and changes nothing else.
  plan.flags = PLAN_TRACE;
  CHECK(RefusedAt(plan, CHILD, 2));
  plan.flags = PLAN_SERVE | PLAN_TRACE;
  CHECK(Accepted(plan));
  plan.flags = PLAN_TRACE << 1;
  CHECK(RefusedAt(plan, kLauncher, 0));
  plan = serve;
  plan.child.erase(plan.child.begin() + 1);
  CHECK(RefusedAt(plan, CHILD, 1));

  // By the init: it is behind the pivot already, nothing else is given.
  const TestPlan inside = Changed([](TestPlan& p) {
    p.flags = PLAN_INSIDE;
    p.child.erase(p.child.begin(), p.child.begin() + 2);
  });
  CHECK(Accepted(inside));
  plan = inside;
  plan.child.erase(plan.child.begin());
  CHECK(!Accepted(plan));
  plan = inside;
  plan.child.insert(plan.child.begin(), Record(Op::wait));
  CHECK(!Accepted(plan));
  plan = inside;
  plan.cloneFlags = kCloneNewpid;
  CHECK(RefusedAt(plan, kLauncher, 0));
  plan = inside;
  plan.attend = {Record(Op::procWrite).S("self/uid_map").B("0 0 1").U(0)};
  CHECK(RefusedAt(plan, kLauncher, 0));

  // By joining: the container's mount namespace stands for the pivot, and only it does.
  TestPlan join = inside;
  join.flags = PLAN_JOIN;
  CHECK(!Accepted(join));
  const auto enter = [&](uint32_t slot) {
    TestPlan made = join;
    const uint32_t mount = static_cast<uint32_t>(kCloneNewns);
    made.child.insert(made.child.begin(), Record(Op::setns).U(slot).U(mount));
    return made;
  };
  CHECK(Accepted(enter(kSlotTarget + 1)));
  CHECK(!Accepted(enter(kSlotTarget)));
  CHECK(!Accepted(enter(0)));
  CHECK(!Accepted(enter(kSlotTarget + kTargetCount)));
  plan = enter(kSlotTarget + 1);
  plan.flags = PLAN_INSIDE;
  CHECK(!Accepted(plan));
}

// A program that ends at `park` has raised every wall, and its release may do little more.
void TestPark() {
  const TestPlan park = Changed([](TestPlan& p) {
    p.flags = PLAN_INSIDE | PLAN_PARK;
    p.child.erase(p.child.begin(), p.child.begin() + 2);
    p.child.back() = Record(Op::park);
  });
  CHECK(Accepted(park));
  TestPlan plan = park;
  plan.flags = PLAN_INSIDE;
  CHECK(RefusedAt(plan, CHILD, 5));
  // Who is to be parked does not execute anything by itself, nor serve.
  for (const Record& end :
       {Record(Op::exec).V({"/a"}).V({"a"}).V({}), Record(Op::serveFiles).U(0)}) {
    plan = park;
    plan.child.back() = end;
    CHECK(RefusedAt(plan, CHILD, 5));
  }
  for (size_t i = 0; i + 1 < park.child.size(); i++) {
    plan = park;
    plan.child.erase(plan.child.begin() + static_cast<long>(i));
    CHECK(!Accepted(plan));
  }
  plan = park;
  plan.child.push_back(Record(Op::chdir).S("/"));
  CHECK(RefusedAt(plan, CHILD, 6));
  CHECK(!Accepted(Changed([](TestPlan& p) { p.child.back() = Record(Op::park); })));
}

void TestRelease() {
  TestPlan release;
  release.flags = PLAN_RELEASE;
  release.fds = release.slots = kReleaseFds;
  release.prepare = {Record(Op::write).U(kSlotHost).S("memory.max").B("1"),
                     Record(Op::watchOom).U(kSlotHost).S("memory")};
  release.child = {Record(Op::stdio).U(0).U(1).U(2),
                   Record(Op::closeAll).U(kSlotNone).U(kSlotNone),
                   Record(Op::chdir).S("/"),
                   Record(Op::rlimit).U(7).Q(1).Q(1),
                   Record(Op::umask).U(18),
                   Record(Op::exec).V({"/bin/true"}).V({"true"}).V({"A=1", ""})};
  CHECK(Accepted(release));
  // Without the second closing of descriptors there is no exec.
  TestPlan plan = release;
  plan.child.erase(plan.child.begin() + 1);
  CHECK(RefusedAt(plan, CHILD, 4));
  plan = release;
  plan.child.pop_back();
  CHECK(!Accepted(plan));
  for (uint32_t count : {0u, 2u, 4u}) {
    plan = release;
    plan.fds = plan.slots = count;
    CHECK(RefusedAt(plan, kLauncher, 0));
  }
  plan = release;
  plan.slots++;
  CHECK(RefusedAt(plan, kLauncher, 0));
  plan = release;
  plan.waived = WALL_SECCOMP;
  CHECK(RefusedAt(plan, kLauncher, 0));
  plan = release;
  plan.cloneFlags = kCloneNewpid;
  CHECK(RefusedAt(plan, kLauncher, 0));
  plan = release;
  plan.intoCgroup = 0;
  CHECK(RefusedAt(plan, kLauncher, 0));
  plan = release;
  plan.teardown = {Record(Op::rmdir).U(kSlotHost).S("a")};
  CHECK(RefusedAt(plan, kLauncher, 0));
  // Nothing but what it is for, on either side.
  plan = release;
  plan.prepare.push_back(Record(Op::mkdir).U(kSlotHost).S("a").U(0).U(0));
  CHECK(RefusedAt(plan, PREPARE, 2));
  for (const Record& step :
       {Record(Op::setuid).U(0), Record(Op::capset).Q(1).Q(1).Q(1), Record(Op::wait),
        Record(Op::write).U(0).S("a").B("b"), Record(Op::unshare).U(0), Record(Op::park)}) {
    plan = release;
    plan.child.insert(plan.child.begin(), step);
    CHECK(RefusedAt(plan, CHILD, 0));
  }
}

void TestSetns() {
  const auto accepted = [](uint32_t type) {
    return Accepted(Changed([type](TestPlan& p) { p.prepare = {Record(Op::setns).U(0).U(type)}; }));
  };
  CHECK(accepted(static_cast<uint32_t>(kCloneNewnet)));
  CHECK(accepted(static_cast<uint32_t>(kCloneNewnet | kCloneNewipc)));
  CHECK(!accepted(static_cast<uint32_t>(kCloneNewuser)));
  CHECK(!accepted(static_cast<uint32_t>(kCloneNewuser | kCloneNewnet)));
  CHECK(!accepted(0));
  CHECK(!accepted(1));
  CHECK(Accepted(Changed([](TestPlan& p) {
    const uint32_t user = static_cast<uint32_t>(kCloneNewuser);
    p.child.insert(p.child.begin(), Record(Op::setns).U(0).U(user));
  })));
}

void TestLimits() {
  TestPlan most = SmallPlan();
  while (most.child.size() < kMaxSteps)
    most.child.insert(most.child.begin() + 1, kMaxSteps - most.child.size(),
                      Record(Op::umask).U(0));
  CHECK(Accepted(most));
  most.teardown = {Record(Op::rmdir).U(kSlotHost).S("x")};
  CHECK(RefusedAt(most, kLauncher, 0));
  TestPlan large = SmallPlan();
  large.prepare = {Record(Op::writeFd).U(0).B("")};
  const size_t room = kMaxPlanBytes - large.Encode().size();
  large.prepare = {Record(Op::writeFd).U(0).B(std::string(room, 'x'))};
  CHECK(large.Encode().size() == kMaxPlanBytes);
  CHECK(Accepted(large));
  large.prepare = {Record(Op::writeFd).U(0).B(std::string(room + 4, 'x'))};
  CHECK(RefusedAt(large, kLauncher, 0));
}

// The other way to end: it runs no guest's code, so it needs no filter and no assertion.
void TestServeFiles() {
  const auto agent = [](std::initializer_list<Op> without) {
    TestPlan plan = SmallPlan();
    plan.child.back() = Record(Op::serveFiles).U(0);
    auto& child = plan.child;
    for (Op op : without)
      child.erase(std::remove_if(child.begin(), child.end(),
                                 [op](const Record& record) { return record.op == op; }),
                  child.end());
    return plan;
  };
  CHECK(Accepted(agent({})));
  CHECK(Accepted(agent({Op::seccomp, Op::assert})));
  for (Op wall : {Op::pivotRoot, Op::capset, Op::noNewPrivs, Op::closeAll})
    CHECK(!Accepted(agent({Op::seccomp, Op::assert, wall})));
  CHECK(!Accepted(agent({Op::wait})));
  CHECK(!Accepted(agent({Op::serveFiles})));
  TestPlan both = agent({});
  both.child.push_back(SmallPlan().child.back());
  CHECK(RefusedAt(both, CHILD, 8));
  TestPlan after = SmallPlan();
  after.child.push_back(Record(Op::serveFiles).U(0));
  CHECK(RefusedAt(after, CHILD, 8));
  TestPlan empty = agent({});
  empty.child.back() = Record(Op::serveFiles).U(1);
  CHECK(RefusedAt(empty, CHILD, 7));
}

}  // namespace

int main() {
  TestAccepted();
  TestHeader();
  TestSections();
  TestSteps();
  TestTexts();
  TestLists();
  TestSlots();
  TestIntoCgroup();
  TestWalls();
  TestOrder();
  TestFlags();
  TestPark();
  TestRelease();
  TestSetns();
  TestLimits();
  TestServeFiles();
  return 0;
}
