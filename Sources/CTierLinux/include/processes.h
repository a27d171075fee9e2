#pragma once
#include <stddef.h>

// Starts `program` (found by PATH only where it has no slash) in a session of its own, with /dev/null as its
// standard input, `output` and `errors` as its standard output and error, every signal at its default, and no
// other descriptor. It is killed when the calling *thread* ends: no child outlives a killed daemon.
// Returns its pid, which is also its process group, or a negated errno (of exec too).
struct tier_command {
  const char *program;
  char *const *arguments;
  char *const *environment;
  const char *directory; // NULL: the caller's
  int output, errors;
};
int tier_spawn(const struct tier_command *command);

// The same, but the program outlives the caller, is init's child, and its pid isn't told. 0 once it runs, or a
// negated errno.
int tier_spawn_detached(const struct tier_command *command);

// Readable once the process has ended.
int tier_pidfd(int pid);
// Reaps the child. Its exit status (0 to 255), or 256 plus the signal that ended it.
int tier_reap(int pid);

int tier_pipe(int ends[2]);
int tier_set_nonblocking(int fd);
// At most 15 bytes are kept.
int tier_name_thread(const char *name);
