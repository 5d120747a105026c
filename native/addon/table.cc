// The step table and the protocol's numbers as data, so that a contract test can compare them with
// what lib/ writes.
#include <stddef.h>

#include "addon/parts.h"
#include "file_protocol.h"
#include "protocol.h"

namespace ringfort {
namespace {

struct Row {
  const char* name;
  const char* signature;
  uint32_t sides, needs, raises;
};

constexpr Row kRows[] = {
#define STEP(name, signature, sides, needs, raises) {#name, signature, sides, needs, raises},
#include "steps.def"
#undef STEP
};

struct FileRow {
  const char* name;
  uint32_t paths, data;
};

constexpr FileRow kFileRows[] = {
#define FILE_OP(name, paths, data) {#name, paths, data},
#include "file_ops.def"
#undef FILE_OP
};

struct Number {
  const char* name;
  uint32_t value;
};

constexpr Number kNumbers[] = {
    {"planMagic", kPlanMagic},
    {"planVersion", kPlanVersion},
    {"planHeaderSize", sizeof(PlanHeader)},
    {"maxPlanBytes", kMaxPlanBytes},
    {"maxSteps", kMaxSteps},
    {"maxSlots", kMaxSlots},
    {"maxFds", kMaxFds},
    {"inlinePlanBytes", kInlinePlanBytes},
    {"slotHost", kSlotHost},
    {"slotProc", kSlotProc},
    {"slotHome", kSlotHome},
    {"slotNone", kSlotNone},
    {"slotTarget", kSlotTarget},
    {"wallPivot", WALL_PIVOT},
    {"wallCaps", WALL_CAPS},
    {"wallNoNewPrivs", WALL_NNP},
    {"wallSeccomp", WALL_SECCOMP},
    {"wallFds", WALL_FDS},
    {"wallAssert", WALL_ASSERT},
    {"forkInit", FORK_INIT},
    {"forkMiddle", FORK_MIDDLE},
    {"forkServe", FORK_SERVE},
    {"planServe", PLAN_SERVE},
    {"planInside", PLAN_INSIDE},
    {"planJoin", PLAN_JOIN},
    {"planPark", PLAN_PARK},
    {"planRelease", PLAN_RELEASE},
    {"planTrace", PLAN_TRACE},
    {"requestUnshareUser", static_cast<uint32_t>(Request::unshareUser)},
    {"requestMakeHome", static_cast<uint32_t>(Request::makeHome)},
    {"requestLaunch", static_cast<uint32_t>(Request::launch)},
    {"requestSignal", static_cast<uint32_t>(Request::signal)},
    {"requestKill", static_cast<uint32_t>(Request::kill)},
    {"requestExec", static_cast<uint32_t>(Request::exec)},
    {"requestRelease", static_cast<uint32_t>(Request::release)},
    {"requestDetach", static_cast<uint32_t>(Request::detach)},
    {"requestHello", static_cast<uint32_t>(Request::hello)},
    {"requestFeed", static_cast<uint32_t>(Request::feed)},
    {"detachStdin", DETACH_STDIN},
    {"detachStdout", DETACH_STDOUT},
    {"detachStderr", DETACH_STDERR},
    {"detachPty", DETACH_PTY},
    {"logMagic", kLogMagic},
    {"logRecordSize", sizeof(LogRecord)},
    {"reportReady", static_cast<uint32_t>(Report::ready)},
    {"reportRunning", static_cast<uint32_t>(Report::running)},
    {"reportFailed", static_cast<uint32_t>(Report::failed)},
    {"reportExited", static_cast<uint32_t>(Report::exited)},
    {"reportGone", static_cast<uint32_t>(Report::gone)},
    {"reportPty", static_cast<uint32_t>(Report::pty)},
    {"reportCreated", static_cast<uint32_t>(Report::created)},
    {"reportTrace", static_cast<uint32_t>(Report::trace)},
    {"phaseCount", PHASE_COUNT},
    {"maxStamps", kMaxStamps},
    {"sectionLauncher", static_cast<uint32_t>(Section::launcher)},
    {"sectionJournal", static_cast<uint32_t>(Section::journal)},
    {"reportHeaderSize", sizeof(ReportHeader)},
    {"reportTypeAt", offsetof(ReportHeader, type)},
    {"reportIdAt", offsetof(ReportHeader, id)},
    {"reportSectionAt", offsetof(ReportHeader, section)},
    {"reportStepAt", offsetof(ReportHeader, step)},
    {"reportErrorAt", offsetof(ReportHeader, error)},
    {"reportPidAt", offsetof(ReportHeader, pid)},
    {"reportStatusAt", offsetof(ReportHeader, status)},
    {"reportOomAt", offsetof(ReportHeader, oom)},
    {"reportUserUsAt", offsetof(ReportHeader, userUs)},
    {"reportSystemUsAt", offsetof(ReportHeader, systemUs)},
    {"reportMaxRssBytesAt", offsetof(ReportHeader, maxRssBytes)},
    {"reportDataSizeAt", offsetof(ReportHeader, dataSize)},
    {"reportLeftAt", offsetof(ReportHeader, left)},
    {"maxReportData", kMaxReportData},
    {"foundSize", sizeof(Found)},
    {"foundStepAt", offsetof(Found, step)},
    {"foundErrorAt", offsetof(Found, error)},
    {"foundSizeAt", offsetof(Found, size)},
    {"journalMagic", kJournalMagic},
    {"journalEntryBytes", sizeof(JournalEntry)},
    {"journalPathSizeAt", offsetof(JournalEntry, pathSize)},
    {"journalPathCrcAt", offsetof(JournalEntry, pathCrc)},
    {"journalMadeCrcAt", offsetof(JournalEntry, madeCrc)},
    {"journalInodeAt", offsetof(JournalEntry, inode)},
    {"journalDevMajorAt", offsetof(JournalEntry, devMajor)},
    {"journalDevMinorAt", offsetof(JournalEntry, devMinor)},
    {"journalPathAt", offsetof(JournalEntry, path)},
};

// The numbers of file_protocol.h.
constexpr Number kFileNumbers[] = {
    {"maxPath", kMaxFilePath},
    {"maxData", kMaxFileData},
    {"maxDirs", kMaxFileDirs},
    {"cwd", kFileCwd},
    {"passed", kFilePassed},
    {"noFollow", FILE_NOFOLLOW},
    {"noSymlinks", FILE_NOSYMLINKS},
    {"kindReply", static_cast<uint32_t>(FileReplyKind::reply)},
    {"kindEvents", static_cast<uint32_t>(FileReplyKind::events)},
    {"requestSize", sizeof(FileRequest)},
    {"replySize", sizeof(FileReply)},
    {"opAt", offsetof(FileRequest, op)},
    {"idAt", offsetof(FileRequest, id)},
    {"dirAt", offsetof(FileRequest, dir)},
    {"dir2At", offsetof(FileRequest, dir2)},
    {"flagsAt", offsetof(FileRequest, flags)},
    {"pathSizeAt", offsetof(FileRequest, pathSize)},
    {"path2SizeAt", offsetof(FileRequest, path2Size)},
    {"dataSizeAt", offsetof(FileRequest, dataSize)},
    {"numberAt", offsetof(FileRequest, number)},
    {"replyKindAt", offsetof(FileReply, kind)},
    {"replyIdAt", offsetof(FileReply, id)},
    {"replyErrorAt", offsetof(FileReply, error)},
    {"replyLastAt", offsetof(FileReply, last)},
    {"replyDataSizeAt", offsetof(FileReply, dataSize)},
    {"replyValueAt", offsetof(FileReply, value)},
};

template <size_t N>
Napi::Object Numbers(Napi::Env env, const Number (&list)[N]) {
  Napi::Object numbers = Napi::Object::New(env);
  for (const Number& number : list) numbers.Set(number.name, number.value);
  return numbers;
}

}  // namespace

void InitTable(Napi::Env env, Napi::Object exports) {
  Napi::Array steps = Napi::Array::New(env);
  for (const Row& row : kRows) {
    Napi::Object step = Napi::Object::New(env);
    step.Set("name", row.name);
    step.Set("signature", row.signature);
    step.Set("sides", row.sides);
    step.Set("needs", row.needs);
    step.Set("raises", row.raises);
    steps.Set(steps.Length(), step);
  }
  Napi::Array fileOps = Napi::Array::New(env);
  for (const FileRow& row : kFileRows) {
    Napi::Object op = Napi::Object::New(env);
    op.Set("name", row.name);
    op.Set("paths", row.paths);
    op.Set("data", row.data);
    fileOps.Set(fileOps.Length(), op);
  }
  exports.Set("steps", steps);
  exports.Set("protocol", Numbers(env, kNumbers));
  exports.Set("fileOps", fileOps);
  exports.Set("fileProtocol", Numbers(env, kFileNumbers));
}

}  // namespace ringfort
