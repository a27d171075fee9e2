#pragma once
#include <stdint.h>
#include <sys/types.h>

// fanotify groups that are asked before a file is opened or read. All calls return a negated errno.

// Events to be asked about. PRE_ACCESS (Linux 6.14; reads, writes, mmap, truncate, with a range) is refused by the
// kernel where it or the file system can't; ACCESS_PERM (reads only) is the older one.
extern const uint64_t tier_OPEN_PERM, tier_ACCESS_PERM, tier_PRE_ACCESS;

// A group for permission events alone, never blocking its reader, with a queue that nothing is dropped from. The
// descriptors in its events are read-only: one open for writing would make running programs' files unreadable.
int tier_permission_group(void);

// Asks for these events of the whole file system that `root` lies on: every mount, every mount namespace.
int tier_permission_mark(int group, uint64_t events, int root);
int tier_permission_unmark(int group, uint64_t events, int root);

// Asks no more about this file until it is evicted from memory; and asks again. Removing what isn't there succeeds.
int tier_permission_ignore(int group, uint64_t events, int file);
int tier_permission_unignore(int group, uint64_t events, int file);

struct tier_permission_event {
  int file; // To be answered by its number, then closed. Negative: the kernel has refused it already.
  int pid;
  uint64_t events;
  int64_t offset, count; // Of PRE_ACCESS; 0 and 0 else.
};

// Takes at most two events; -EAGAIN: none waits. Can block although the group doesn't: the kernel opens the file for
// us here, which waits for the end of a lease on it, and for the server of a file system that has one.
int tier_permission_read(int group, struct tier_permission_event events[2]);

// 0 allows; a positive number denies with that errno (EPERM EIO EBUSY ETXTBSY EAGAIN ENOSPC EDQUOT, where the kernel
// knows how; else -EINVAL); -1 denies with EPERM on every kernel. -ENOENT: no such question is open.
int tier_permission_answer(int group, int file, int error);

// A set of descriptors to wait for. With `exclusive`, one of several waiting sets is woken, not all.
int tier_epoll(void);
int tier_epoll_add(int set, int fd, int exclusive);
// Waits for ever; gives the descriptor, as it was added, that is ready.
int tier_epoll_wait(int set);
