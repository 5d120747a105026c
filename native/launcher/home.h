// The launcher's own surroundings.
#pragma once
#include "launcher/context.h"

namespace ringfort {

// Empty environment, nothing inherited up to descriptor `last` but what Node has put there; 0 to 2
// are /dev/null.
int CleanSelf(int last);
// For an ordinary user: a user namespace of its own, in which it has what mounts need. Node maps
// the ids while we wait for the next request.
int UnshareUser(Home* home);
// A small mount namespace with nothing but an empty root, proc and sys, so that a launch does not
// copy the host's mounts (CLONE_NEWNS copies them all). Then non-dumpable.
int MakeHome(Home* home);

}  // namespace ringfort
