#include "retry.h"

#include "sockets.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int packet_socket(const char *path, struct sockaddr_un *address) {
  size_t length = strlen(path);
  if (length == 0) return -EINVAL;
  if (length >= sizeof address->sun_path) return -ENAMETOOLONG;
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path, path, length);
  return TIER_RETRY(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

int tier_listen_packets(const char *path) {
  struct sockaddr_un address;
  int fd = packet_socket(path, &address);
  if (fd < 0) return fd;
  // The mode of the socket file is this one's, whatever the umask.
  int result = TIER_RETRY(fchmod(fd, 0600));
  if (result == 0) result = TIER_RETRY(bind(fd, (const struct sockaddr *)&address, sizeof address));
  if (result == 0) result = TIER_RETRY(chmod(path, 0600));
  if (result == 0) result = TIER_RETRY(listen(fd, 16));
  if (result == 0) return fd;
  close(fd);
  return result;
}

int tier_connect_packets(const char *path) {
  struct sockaddr_un address;
  int fd = packet_socket(path, &address);
  if (fd < 0) return fd;
  int result = TIER_RETRY(connect(fd, (const struct sockaddr *)&address, sizeof address));
  if (result == 0) return fd;
  close(fd);
  return result;
}

int tier_accept(int listener) {
  return TIER_RETRY(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int tier_peer(int fd, int *pid, uint32_t *user) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  int result = TIER_RETRY(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size));
  if (result < 0) return result;
  *pid = peer.pid;
  *user = peer.uid;
  return 0;
}

union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(TIER_PACKET_DESCRIPTORS_MAX * sizeof(int))];
};

int tier_send_packet(int fd, const void *bytes, size_t size, const int *descriptors, unsigned count) {
  if (count > TIER_PACKET_DESCRIPTORS_MAX) return -EINVAL;
  struct iovec part = {(void *)bytes, size};
  union control control = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
  }
  ssize_t sent = TIER_RETRY(sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
  return sent < 0 ? (int)sent : 0;
}

ssize_t tier_receive_packet(int fd, void *bytes, size_t size, int *descriptors, unsigned *count) {
  struct iovec part = {bytes, size};
  union control control = {0};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  unsigned room = *count;
  *count = 0;
  ssize_t received = TIER_RETRY(recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
  if (received < 0) return received;
  int surplus = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    unsigned brought = (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (unsigned index = 0; index < brought; index++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof(int));
      if (*count < room) {
        descriptors[(*count)++] = descriptor;
      } else {
        surplus = 1;
        close(descriptor);
      }
    }
  }
  if (!surplus) return received;
  while (*count > 0) close(descriptors[--*count]);
  return -EMSGSIZE;
}

int tier_duplicate(int fd, int lowest) { return TIER_RETRY(fcntl(fd, F_DUPFD_CLOEXEC, lowest)); }

int tier_duplicate_onto(int fd, int number) { return TIER_RETRY(dup3(fd, number, O_CLOEXEC)); }

int tier_lock(int fd) { return TIER_RETRY(flock(fd, LOCK_EX | LOCK_NB)); }

int tier_raise_descriptor_limit(int most) {
  struct rlimit limit;
  int result = TIER_RETRY(getrlimit(RLIMIT_NOFILE, &limit));
  if (result < 0) return result;
  rlim_t wanted = limit.rlim_max < (rlim_t)most ? limit.rlim_max : (rlim_t)most;
  if (wanted > limit.rlim_cur) {
    limit.rlim_cur = wanted;
    result = TIER_RETRY(setrlimit(RLIMIT_NOFILE, &limit));
    if (result < 0) return result;
  }
  return limit.rlim_cur < (rlim_t)most ? (int)limit.rlim_cur : most;
}
