// The cgroup v2 device controller, which is a BPF program (cgroup-v2.rst, "Device controller").
#include "launcher/context.h"

namespace ringfort {
namespace {

struct LoadAttr {  // bpf(2), BPF_PROG_LOAD
  uint32_t type, count;
  uint64_t instructions, license;
  uint32_t logLevel, logSize;
  uint64_t logBuffer;
  uint32_t kernelVersion, flags;
};
struct AttachAttr {  // bpf(2), BPF_PROG_ATTACH
  uint32_t target, program, type, flags;
};

}  // namespace

int Step_bpfDevice(Context& c, const Arg* a) {
  constexpr long kLoad = 5, kAttach = 8;
  constexpr uint32_t kCgroupDevice = 15, kAttachDevice = 6, kAllowMulti = 2;
  if (a[1].size == 0 || a[1].size % 8 != 0) return -kEinval;
  LoadAttr load = {};
  load.type = kCgroupDevice;
  load.count = a[1].size / 8;
  load.instructions = static_cast<uint64_t>(P(a[1].text));
  load.license = static_cast<uint64_t>(P("MIT"));
  long program = Sys(__NR_bpf, kLoad, P(&load), sizeof load);
  if (program < 0) return static_cast<int>(program);
  AttachAttr attach{static_cast<uint32_t>(SlotFd(c, a[0].number)), static_cast<uint32_t>(program),
                    kAttachDevice, kAllowMulti};
  long error = Sys(__NR_bpf, kAttach, P(&attach), sizeof attach);
  Close(static_cast<int>(program));
  return static_cast<int>(error);
}

}  // namespace ringfort
