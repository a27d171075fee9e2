// First in every .c file.
#pragma once
#define _GNU_SOURCE 1
#include <errno.h>
#include <sys/types.h>

#define TIER_RETRY(call)                                                                                     \
  ({                                                                                                         \
    __typeof__(call) tier_result;                                                                            \
    do {                                                                                                     \
      tier_result = (call);                                                                                  \
    } while (tier_result == -1 && errno == EINTR);                                                           \
    tier_result == -1 ? -(__typeof__(call))errno : tier_result;                                              \
  })
