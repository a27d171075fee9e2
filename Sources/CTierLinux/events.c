#include "retry.h"

#include "events.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int tier_eventfd(void) { return TIER_RETRY(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

int tier_poll(struct pollfd *fds, unsigned count, int64_t timeout_nanoseconds) {
  struct timespec timeout = {timeout_nanoseconds / 1000000000, timeout_nanoseconds % 1000000000};
  int ready = ppoll(fds, count, timeout_nanoseconds < 0 ? NULL : &timeout, NULL);
  return ready != -1 ? ready : errno == EINTR ? 0 : -errno;
}

int tier_inotify(void) { return TIER_RETRY(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)); }

int tier_inotify_add(int fd, int watched, uint32_t mask) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", watched);
  return TIER_RETRY(inotify_add_watch(fd, path, mask));
}

int tier_send_datagram(const char *socket_path, const void *message, size_t size) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(socket_path);
  if (length == 0 || length >= sizeof address.sun_path) return -EINVAL;
  memcpy(address.sun_path, socket_path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = 0;
  int fd = TIER_RETRY(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd < 0) return fd;
  socklen_t address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  ssize_t sent = TIER_RETRY(
      sendto(fd, message, size, MSG_NOSIGNAL, (const struct sockaddr *)&address, address_length));
  close(fd);
  return sent < 0 ? (int)sent : 0;
}

int tier_connect_stream(const char *socket_path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(socket_path);
  if (length == 0) return -EINVAL;
  if (length >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, socket_path, length);
  int fd = TIER_RETRY(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd < 0) return fd;
  int result = TIER_RETRY(connect(fd, (const struct sockaddr *)&address, sizeof address));
  if (result == 0) return fd;
  close(fd);
  return result;
}
