// What the parts of the probe share: each has a table of the attempts that it can make.
#pragma once
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// `a` are the arguments after the name, with "" for those that were not given.
struct attempt {
  const char* name;
  int (*make)(char** a);
};

extern const struct attempt call_attempts[], file_attempts[], process_attempts[],
    resource_attempts[], socket_attempts[], terminal_attempts[];

// Prints `ok`, or the errno of a call that has answered below 0.
int say(long result);
