// What this launcher has made on the host and not removed yet, in a file that outlives it: if it is
// killed, the next start removes that (lib/host/sweep.ts). Only cgroups for now: nothing else that
// a plan makes on the host outlives the launcher's descriptors and namespaces.
#pragma once
#include "launcher/context.h"

namespace ringfort {

// Cgroups that one launcher may have at a time.
constexpr uint32_t kJournalEntries = 1u << 16;

struct Journal {
  // Holds the lock that says that this launcher lives; children give up their copy at once.
  int fd;
  uint32_t top;     // entries from here on have not been used since the file was last empty
  uint32_t used;    // entries that stand for a cgroup
  char path[4096];  // of the journal itself, as Node sees it
  // 0: free, else made from the path. On pages of their own, which no child sees.
  alignas(1u << 16) uint32_t tags[kJournalEntries];
};

// Before the launcher leaves the host's root.
void OpenJournal(Journal& j, int fd);
// Whether a directory below `parent` would be a cgroup, and there is a journal.
bool ToBeNoted(const Context& c, int parent);
// The mkdir step: notes what is to be made, makes it, notes what it has become. When it cannot be
// noted, nothing has been made.
int MakeNoted(Context& c, int parent, const char* name, const Arg* a);
// A path that is gone.
void Forget(const Home& home, const Arg& path);
// At the end, with everything gone: removes the journal.
void EndJournal(const Home& home);

}  // namespace ringfort
