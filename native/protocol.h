// What crosses the two boundaries: the plan (Node -> launcher) and the reports (launcher -> Node).
// lib/plan/encode.ts writes the plan, lib/launcher/messages.ts reads the reports;
// test/contract/protocol.test.ts compares both with the numbers that the addon exports from here.
#pragma once
#include <stdint.h>

namespace ringfort {

constexpr uint32_t kPlanMagic = 0x31504652;  // "RFP1"
constexpr uint32_t kPlanVersion = 1;
constexpr uint32_t kMaxPlanBytes = 16u << 20;
constexpr uint32_t kMaxSteps = 16384;  // in all four sections together
constexpr uint32_t kMaxSlots = 2048;
constexpr uint32_t kReleaseFds = 3;               // stdin, stdout, stderr
constexpr uint32_t kMaxFds = 64;                  // descriptors that one message may carry
constexpr uint32_t kInlinePlanBytes = 96u << 10;  // larger plans travel in a sealed memfd

// Slots that every plan has without opening them.
constexpr uint32_t kSlotHost = 0xFFFFFFF0;  // the host's root directory
constexpr uint32_t kSlotProc = 0xFFFFFFF1;  // the launcher's own view of proc
constexpr uint32_t kSlotHome = 0xFFFFFFF2;  // the root of the mount namespace the child is born in
constexpr uint32_t kSlotNone = 0xFFFFFFFF;
// In a plan that joins a container: its namespaces, in the order of kTargets (namespaces.cc).
constexpr uint32_t kSlotTarget = 0xFFFFFFE0;
constexpr uint32_t kTargetCount = 8;

enum Side : uint32_t { SIDE_P = 1, SIDE_A = 2, SIDE_C = 4, SIDE_T = 8 };

// The walls that must stand before exec. A plan may waive one only by naming it in its header.
enum Wall : uint32_t {
  WALL_PIVOT = 1,
  WALL_CAPS = 2,
  WALL_NNP = 4,
  WALL_SECCOMP = 8,
  WALL_FDS = 16,
  WALL_ASSERT = 32,
  WALL_ALL = 63,
};

enum class Op : uint32_t {
#define STEP(name, signature, sides, needs, raises) name,
#include "steps.def"
#undef STEP
  count
};

enum ForkRole : uint32_t {
  FORK_INIT = 0,    // the parent stays as pid 1: reaps, forwards signals
  FORK_MIDDLE = 1,  // the parent only waits and passes the exit status on
  FORK_SERVE = 2,   // as FORK_INIT, and starts further programs on request
};

// What a plan is for.
enum PlanFlag : uint32_t {
  PLAN_SERVE = 1,     // a container whose init takes programs later
  PLAN_INSIDE = 2,    // a program for a container with such an init, which forks it
  PLAN_JOIN = 4,      // a program for any container: a child of the launcher joins it
  PLAN_PARK = 8,      // with one of these two: the program waits at its `park` step for a release
  PLAN_RELEASE = 16,  // that release: the limits, streams, directory and arguments of the program
  PLAN_TRACE = 32,    // beside any of them: a trace report is wanted at the end
};

struct PlanHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t size;     // of the whole plan, this header included
  uint32_t fdCount;  // descriptors sent with it: slots 0 .. fdCount-1
  uint32_t slotCount;
  uint32_t waived;          // Wall bits that this plan does without
  uint64_t cloneFlags;      // CLONE_NEW*
  uint32_t intoCgroup;      // slot of a cgroup2 directory, or kSlotNone
  uint32_t stepCount[4];    // prepare, attend, child, teardown
  uint32_t sectionSize[4];  // bytes; the sections follow the header in this order
  uint32_t flags;           // PlanFlag bits
};
static_assert(sizeof(PlanHeader) == 72, "the encoder writes these 72 bytes");

struct StepHeader {
  uint32_t op;
  uint32_t size;  // of the record, this header included; a multiple of 4
};

enum class Request : uint32_t {
  unshareUser = 1,  // launcher setup for an ordinary user: enter a user namespace of its own
  makeHome = 2,     // launcher setup: private mounts, then non-dumpable
  launch = 3,
  signal = 4,   // to the main program
  kill = 5,     // everything in the container, or in the cgroup of one program
  exec = 6,     // one more program in a container
  release = 7,  // of a parked program: a plan that is its rest, and the program's three descriptors
  // A container that is to outlive Node (launcher/monitor.cc); each is answered by `ready`.
  detach = 16,  // the end of Node is not the end from now on; carries a Detach and descriptors
  hello = 17,   // a client asks for the container: its pid, ESRCH when it has ended
  feed = 18,    // what feeds the command; arg 1: nobody feeds it any more
};

struct RequestHeader {
  uint32_t type;
  uint32_t id;
  // signal: its number; exec: the container's id; detach: DetachStream bits; launch: 1 when a
  // detach is to come, until which nobody looks whether it has ended
  uint32_t arg;
  uint32_t size;  // of the plan; without a body the first descriptor is the plan, a sealed memfd
};

enum class Report : uint32_t {
  ready = 1,    // a request that is answered at once has been carried out (or not: error)
  running = 2,  // the program has been executed; carries the pidfd
  failed = 3,   // the launch did not happen; everything has been undone or is on its way
  exited = 4,   // the container has ended; carries what the teardown's read steps found
  gone = 5,     // the teardown is complete
  pty = 6,      // carries the master side of the terminal
  created = 7,  // the child has come to its `hold` or `park` step
  trace = 8,    // PLAN_TRACE, just before `gone`: carries when what was done (Trace)
};

// Streams of the command that come with a detach, after its fixed descriptors, in this order.
enum DetachStream : uint32_t {
  DETACH_STDIN = 1,   // write end of its pipe
  DETACH_STDOUT = 2,  // read ends, for the log
  DETACH_STDERR = 4,
  DETACH_PTY = 8,  // the master side instead of the three
};

// A detach's fixed descriptors: the listening socket, the container's directory, its exit file, and
// a lock that lasts as long as the launcher does.
constexpr uint32_t kDetachFds = 4;

// The body of a detach.
struct Detach {
  uint64_t maxSize;   // bytes of one log file
  uint32_t maxFiles;  // log files, the one that is written included
  uint32_t reserved;
};
static_assert(sizeof(Detach) == 16, "lib/detached writes these 16 bytes");

constexpr uint32_t kMaxClients = 64;  // Node and those that have connected

// A log file: this, then records (launcher/log.cc writes them, lib/detached/logFile.ts reads them).
struct LogFileHeader {
  uint32_t magic;
  uint32_t sequence;  // of the file, from 1
};
constexpr uint32_t kLogMagic = 0x314C4652;  // "RFL1"

// One piece of output; `size` bytes follow.
struct __attribute__((packed)) LogRecord {
  uint64_t time;   // ns since the epoch
  uint8_t stream;  // 1 stdout, 2 stderr; 0: the data is a uint64_t, bytes that had to be dropped
  uint32_t size;
};
static_assert(sizeof(LogRecord) == 13, "the reader takes these 13 bytes");

enum class Section : uint32_t {
  prepare = 0,
  attend = 1,
  child = 2,
  teardown = 3,
  launcher = 4,
  journal = 5,  // the prepare step could not be noted in the journal first
};

struct ReportHeader {
  uint32_t type;
  uint32_t id;
  uint32_t section;  // failed: where; ready: the request
  uint32_t step;     // failed, gone: index in the section
  int32_t error;     // errno, 0 when none
  int32_t pid;       // running
  int32_t status;    // exited, failed: wait status of the main program; -1 when unknown
  uint32_t oom;      // exited: the launcher's own out-of-memory watch fired
  uint64_t userUs;   // exited: rusage of the whole container
  uint64_t systemUs;
  uint64_t maxRssBytes;
  uint32_t dataSize;  // bytes that follow
  uint32_t left;      // gone: teardown steps that have not succeeded and are retried
};
static_assert(sizeof(ReportHeader) == 64, "the reader takes these 64 bytes");

// The data of an exited report: one of these for each read step, then `size` bytes, padded to four.
struct Found {
  uint32_t step;   // index in the teardown
  uint32_t error;  // errno, 0 when the file was read
  uint32_t size;
};
static_assert(sizeof(Found) == 12, "the reader takes these 12 bytes");

constexpr uint32_t kMaxReportData = 64u << 10;

// What was done by then: the phases of a launch, in this order.
enum Phase : uint32_t {
  PHASE_TAKEN = 0,  // the request has been received
  PHASE_CHECKED,    // and its plan
  PHASE_CLONED,     // the child exists, or its init has been asked
  PHASE_ATTENDED,   // the child may go on
  PHASE_EXECUTED,   // its end of the sync socket was closed by execve
  PHASE_ENDED,      // it has ended and been reaped
  PHASE_TOLD,       // the `exited` report has left
  PHASE_COUNT,
};

// The data of a trace report. Ticks of the CPU's counter, because a child behind a seccomp filter
// may not ask for the time; two moments of both clocks relate them. 0: not reached.
constexpr uint32_t kMaxStamps = 1024;  // steps of all sections beyond that have none
struct Trace {
  uint64_t firstTicks, firstNs, lastTicks, lastNs;  // ns of CLOCK_MONOTONIC
  uint64_t phase[PHASE_COUNT];
  uint64_t step[kMaxStamps];  // of all sections, in their order: when it was done
};
static_assert(sizeof(Trace) == 8 * (4 + PHASE_COUNT + kMaxStamps), "the reader takes these bytes");

// The journal (native/launcher/journal.cc writes it, lib/host/journal.ts reads it) is an array of
// these: a cgroup that is to be made, or has been. A place is used again once its cgroup is gone,
// so the file is as large as what there is at one time. None crosses a page: each write of one is
// there whole or not at all when the launcher is killed.
constexpr uint32_t kJournalMagic = 0x314A4652;  // "RFJ1"
struct JournalEntry {
  uint32_t magic;
  uint32_t pathSize;
  uint32_t pathCrc;  // CRC-32 (IEEE 802.3) of the path
  uint32_t madeCrc;  // of the next 16 bytes, going on from pathCrc
  uint64_t inode;    // 0 while it is not known to have been made
  uint32_t devMajor, devMinor;
  char path[992];  // absolute, as Node sees it; not terminated
};
static_assert(sizeof(JournalEntry) == 1024, "the reader takes these 1024 bytes");

}  // namespace ringfort
