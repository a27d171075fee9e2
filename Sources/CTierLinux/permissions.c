#include "retry.h"

#include "permissions.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <unistd.h>

// Newer than Debian 12's headers.
#ifndef FAN_PRE_ACCESS
#define FAN_PRE_ACCESS 0x00100000
#endif
#ifndef FAN_EVENT_INFO_TYPE_RANGE
#define FAN_EVENT_INFO_TYPE_RANGE 6
struct fanotify_event_info_range {
  struct fanotify_event_info_header hdr;
  uint32_t pad;
  uint64_t offset, count;
};
#endif
#ifndef FAN_DENY_ERRNO
#define FAN_DENY_ERRNO(error) (FAN_DENY | ((uint32_t)((error) & 0xff) << 24))
#endif

const uint64_t tier_OPEN_PERM = FAN_OPEN_PERM, tier_ACCESS_PERM = FAN_ACCESS_PERM, tier_PRE_ACCESS = FAN_PRE_ACCESS;

int tier_permission_group(void) {
  unsigned flags =
      FAN_CLASS_PRE_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
  return TIER_RETRY(fanotify_init(flags, O_RDONLY | O_LARGEFILE | O_CLOEXEC));
}

int tier_permission_mark(int group, uint64_t events, int root) {
  return TIER_RETRY(fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, events, root, NULL));
}

int tier_permission_unmark(int group, uint64_t events, int root) {
  return TIER_RETRY(fanotify_mark(group, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, events, root, NULL));
}

int tier_permission_ignore(int group, uint64_t events, int file) {
  // Evictable: a mark must not keep every inode that was ever opened in memory.
  unsigned flags = FAN_MARK_ADD | FAN_MARK_IGNORE_SURV | FAN_MARK_EVICTABLE;
  return TIER_RETRY(fanotify_mark(group, flags, events, file, NULL));
}

int tier_permission_unignore(int group, uint64_t events, int file) {
  int result = TIER_RETRY(fanotify_mark(group, FAN_MARK_REMOVE | FAN_MARK_IGNORE_SURV, events, file, NULL));
  return result == -ENOENT ? 0 : result;
}

int tier_permission_read(int group, struct tier_permission_event events[2]) {
  // Room for one event with a range, or two without: the less is taken at once, the less waits should the second
  // one's opening block.
  char bytes[FAN_EVENT_METADATA_LEN + sizeof(struct fanotify_event_info_range)]
      __attribute__((aligned(sizeof(uint64_t))));
  ssize_t size = TIER_RETRY(read(group, bytes, sizeof bytes));
  if (size < 0) return (int)size;
  int count = 0;
  const struct fanotify_event_metadata *event = (const void *)bytes;
  for (; FAN_EVENT_OK(event, size) && count < 2; event = FAN_EVENT_NEXT(event, size)) {
    if (event->vers != FANOTIFY_METADATA_VERSION) return -EPROTO;
    struct tier_permission_event *taken = &events[count++];
    *taken = (struct tier_permission_event){.file = event->fd, .pid = event->pid, .events = event->mask};
    const struct fanotify_event_info_range *range = (const void *)((const char *)event + event->metadata_len);
    if (event->event_len >= event->metadata_len + sizeof *range &&
        range->hdr.info_type == FAN_EVENT_INFO_TYPE_RANGE) {
      taken->offset = (int64_t)range->offset;
      taken->count = (int64_t)range->count;
    }
  }
  return count;
}

int tier_permission_answer(int group, int file, int error) {
  struct fanotify_response response = {file, error == 0 ? FAN_ALLOW : error < 0 ? FAN_DENY : FAN_DENY_ERRNO(error)};
  ssize_t written = TIER_RETRY(write(group, &response, sizeof response));
  return written < 0 ? (int)written : 0;
}

int tier_epoll(void) { return TIER_RETRY(epoll_create1(EPOLL_CLOEXEC)); }

int tier_epoll_add(int set, int fd, int exclusive) {
  struct epoll_event event = {.events = EPOLLIN | (exclusive ? EPOLLEXCLUSIVE : 0), .data.fd = fd};
  return TIER_RETRY(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

int tier_epoll_wait(int set) {
  struct epoll_event event;
  int ready = TIER_RETRY(epoll_wait(set, &event, 1, -1));
  return ready < 0 ? ready : event.data.fd;
}
