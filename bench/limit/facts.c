// Reads the facts: one line each, fields separated by tabs, the first says what it is.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "limit.h"

struct facts facts;

static void add(struct list* list, const char* a, const char* b) {
  if (list->count == MAX_ITEMS) exit(2);
  list->at[list->count++] = (struct pair){a, b};
}

static void read_filter(const char* path) {
  int fd = MUST(open(path, O_RDONLY));
  struct stat st;
  MUST(fstat(fd, &st));
  facts.filter = mmap(0, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  facts.filter_size = st.st_size;
}

static void take(const char* kind, const char* a, const char* b) {
  struct tree* tree = facts.trees > 0 ? &facts.tree[facts.trees - 1] : 0;
  struct {
    const char* kind;
    struct list* list;
  } lists[] = {
      {"directory", &facts.directory},
      {"file", &facts.file},
      {"link", &facts.link},
      {"own", &facts.own},
      {"mkdir", &facts.mkdir},
      {"mask", &facts.mask},
      {"readonly", &facts.readonly},
      {"landlock", &facts.landlock},
      {"rlimit", &facts.rlimit},
      {"set", tree ? &tree->set : 0},
      {"read", tree ? &tree->read : 0},
  };
  for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
    if (strcmp(kind, lists[i].kind) == 0) return add(lists[i].list, a, b);
  if (strcmp(kind, "tree") == 0) {
    tree = &facts.tree[facts.trees++];
    tree->parent = MUST(open(a, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    tree->unified = strcmp(b, "unified") == 0;
  } else if (strcmp(kind, "map") == 0) {
    facts.map = a;
  } else if (strcmp(kind, "program") == 0) {
    facts.program = a;
  } else if (strcmp(kind, "filter") == 0) {
    read_filter(a);
  } else if (strcmp(kind, "ruleset") == 0) {
    facts.landlock_fs = strtoull(a, 0, 0);
    facts.landlock_scoped = strtoull(b, 0, 0);
  } else {
    fprintf(stderr, "limit: %s?\n", kind);
    exit(2);
  }
}

void read_facts(const char* path) {
  FILE* in = fopen(path, "r");
  if (in == 0) exit(2);
  char* line = 0;
  size_t room = 0;
  while (getline(&line, &room, in) > 0) {
    char* kept = strdup(line);
    kept[strcspn(kept, "\n")] = 0;
    char *kind = strsep(&kept, "\t"), *a = strsep(&kept, "\t");
    take(kind, a ? a : "", kept ? kept : "");
  }
  fclose(in);
}
