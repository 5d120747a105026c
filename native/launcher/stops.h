// Places where the launcher of test/kernel/killed*.test.ts can be held, to be killed just there.
// Nothing of this is in the shipped program: only test/helpers/stops.ts defines RINGFORT_STOPS, and
// adds test/native/stops.cc.
#pragma once
#include "launcher/context.h"

namespace ringfort {

// Beside every step of the four sections. lib has no use for them; test/helpers/stops.ts has the
// same list.
enum class Stop : uint32_t {
  beforeMkdir,  // noted, not made
  afterMkdir,   // made, its inode not noted
  beforeClone,
  afterClone,
  beforeGo,
  init,  // the container's init, before it has asked to die with the launcher
  afterRunning,
  beforeTeardown,
  afterRmdir,  // removed, not forgotten
  afterTeardown,
  // Of a program in a container that lives.
  initAsked,   // its init has the request
  initForked,  // the program is there, nobody knows of it
  initSent,    // the launcher has been sent its pidfd
  gotPidfd,    // the launcher knows of it
  initReaped,  // it has ended, nobody has been told
  initTold,
  beforeConclude,  // the launcher has been told, or has reaped it itself
  // Of a launcher that becomes a detached container's monitor.
  detachTaken,      // all is taken over, nobody finds the container
  detachAnnounced,  // it is found, its creator has no answer
  exitUnkept,       // the container has ended, its exit is not in the file
  exitKept,         // it is, and nobody has been told
};

#ifdef RINGFORT_STOPS
void StopAtStep(uint32_t side, uint32_t index);
void StopAt(Stop stop);
// Whether the request is one that says where to stop.
bool TakeStop(const RequestHeader& request);
#else
inline void StopAtStep(uint32_t, uint32_t) {}
inline void StopAt(Stop) {}
inline bool TakeStop(const RequestHeader&) { return false; }
#endif

}  // namespace ringfort
