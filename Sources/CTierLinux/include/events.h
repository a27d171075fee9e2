#pragma once
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

int tier_eventfd(void);

// As poll(2) with a time-out in nanoseconds; negative: none. Returns 0 as well when a signal cut the wait
// short: callers look at their clock.
int tier_poll(struct pollfd *fds, unsigned count, int64_t timeout_nanoseconds);

int tier_inotify(void);
// Watches what the descriptor (O_PATH suffices) stands for: nothing can be swapped in between.
int tier_inotify_add(int fd, int watched, uint32_t mask);

// Sends one datagram to a unix socket; a leading '@' means the abstract name space.
int tier_send_datagram(const char *socket_path, const void *message, size_t size);
// Connects to a listening unix socket without ever waiting: a descriptor in non-blocking mode, or a negated
// errno; -EAGAIN: somebody listens, but can't take more connections now.
int tier_connect_stream(const char *socket_path);
