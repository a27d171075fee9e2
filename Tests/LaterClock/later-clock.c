// Preloaded into a program, makes its wall clock go ahead of the machine's by TIERD_TEST_SECONDS_AHEAD. Tests use it
// to have the time pass that must lie between a copy and its proof.
#include "later-clock.h"
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = (int)syscall(SYS_clock_gettime, clock, time);
  const char *ahead = getenv("TIERD_TEST_SECONDS_AHEAD");
  if (result == 0 && clock == CLOCK_REALTIME && ahead) time->tv_sec += atol(ahead);
  return result;
}
