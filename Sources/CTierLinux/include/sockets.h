#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Unix sockets that keep packets apart, pass descriptors, and tell of the other side's end. All calls return a
// negated errno; descriptors are close-on-exec, and sockets don't block.

// Binds with mode 0600.
int tier_listen_packets(const char *path);
int tier_connect_packets(const char *path);
int tier_accept(int listener);
// Who is at the other end, by the kernel's word: as it was at connect.
int tier_peer(int fd, int *pid, uint32_t *user);

#define TIER_PACKET_DESCRIPTORS_MAX 2

// All or nothing; -EAGAIN: the other side's buffer is full.
int tier_send_packet(int fd, const void *bytes, size_t size, const int *descriptors, unsigned count);
// The packet's size, 0 at the other side's end. What is longer than `size`, or brings more descriptors than
// `*count`, is -EMSGSIZE, and its descriptors are closed.
ssize_t tier_receive_packet(int fd, void *bytes, size_t size, int *descriptors, unsigned *count);

// A copy of a descriptor with the lowest free number that is not below `lowest`; close-on-exec.
int tier_duplicate(int fd, int lowest);
// Makes `number` the same as `fd`; what it was before is closed.
int tier_duplicate_onto(int fd, int number);

// An exclusive lock on the open file that ends with it; -EWOULDBLOCK: somebody has it.
int tier_lock(int fd);

// The highest number of descriptors this process may have, after raising the limit as far as it goes, but not
// above `most`.
int tier_raise_descriptor_limit(int most);
