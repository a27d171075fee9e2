#include "retry.h"

#include "files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

const int tier_O_PATH = O_PATH, tier_O_DIRECTORY = O_DIRECTORY, tier_O_NOFOLLOW = O_NOFOLLOW;
const int tier_O_NOATIME = O_NOATIME, tier_AT_REMOVEDIR = AT_REMOVEDIR;
const unsigned tier_RENAME_NOREPLACE = RENAME_NOREPLACE, tier_RENAME_EXCHANGE = RENAME_EXCHANGE;

const char *tier_errno_name(int number) { return strerrorname_np(number); }

const char *tier_errno_description(int number) { return strerrordesc_np(number); }

int tier_statx(int directory, const char *name, struct tier_status *status) {
  struct statx raw;
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_SYNC_AS_STAT | (*name ? 0 : AT_EMPTY_PATH);
  int result = TIER_RETRY(statx(directory, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, &raw));
  if (result < 0) return result;
  *status = (struct tier_status){
      .device = makedev(raw.stx_dev_major, raw.stx_dev_minor),
      .inode = raw.stx_ino,
      .mode = raw.stx_mode,
      .links = raw.stx_nlink,
      .owner = raw.stx_uid,
      .group = raw.stx_gid,
      .size = (int64_t)raw.stx_size,
      .allocated_bytes = (int64_t)raw.stx_blocks * 512,
      .modified_seconds = raw.stx_mtime.tv_sec,
      .changed_seconds = raw.stx_ctime.tv_sec,
      .accessed_seconds = raw.stx_atime.tv_sec,
      .modified_nanoseconds = raw.stx_mtime.tv_nsec,
      .changed_nanoseconds = raw.stx_ctime.tv_nsec,
      .accessed_nanoseconds = raw.stx_atime.tv_nsec,
      .mount_id = raw.stx_mask & STATX_MNT_ID ? raw.stx_mnt_id : 0,
  };
  return 0;
}

int tier_open_beneath(int root, const char *path, int flags, unsigned mode) {
  struct open_how how = {
      .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
      .mode = flags & O_CREAT ? mode : 0,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  return (int)TIER_RETRY(syscall(SYS_openat2, root, path, &how, sizeof how));
}

int tier_open(const char *path, int flags, unsigned mode) {
  return TIER_RETRY(open(path, flags | O_CLOEXEC, mode));
}

int tier_close(int fd) { return close(fd) == -1 && errno != EINTR ? -errno : 0; }

ssize_t tier_pread(int fd, void *buffer, size_t count, int64_t offset) {
  return TIER_RETRY(pread(fd, buffer, count, offset));
}

ssize_t tier_pwrite(int fd, const void *buffer, size_t count, int64_t offset) {
  return TIER_RETRY(pwrite(fd, buffer, count, offset));
}

ssize_t tier_read(int fd, void *buffer, size_t count) {
  return TIER_RETRY(read(fd, buffer, count));
}

ssize_t tier_write(int fd, const void *buffer, size_t count) {
  return TIER_RETRY(write(fd, buffer, count));
}

ssize_t tier_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t count) {
  off64_t from_position = from_offset, to_position = to_offset;
  return TIER_RETRY(copy_file_range(from, &from_position, to, &to_position, count, 0));
}

int64_t tier_seek_data(int fd, int64_t offset) { return TIER_RETRY(lseek(fd, offset, SEEK_DATA)); }

int64_t tier_seek_hole(int fd, int64_t offset) { return TIER_RETRY(lseek(fd, offset, SEEK_HOLE)); }

int tier_punch(int fd, int64_t offset, int64_t length) {
  return TIER_RETRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));
}

int tier_truncate(int fd, int64_t size) { return TIER_RETRY(ftruncate(fd, size)); }

int tier_sync(int fd) { return TIER_RETRY(fsync(fd)); }

int tier_drop_cache(int fd) { return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); }

int tier_start_writing(int fd, int64_t offset, int64_t count) {
  return TIER_RETRY(sync_file_range(fd, offset, count, SYNC_FILE_RANGE_WRITE));
}

int tier_write_and_forget(int fd, int64_t offset, int64_t count) {
  const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  int result = TIER_RETRY(sync_file_range(fd, offset, count, all));
  return result < 0 ? result : -posix_fadvise(fd, offset, count, POSIX_FADV_DONTNEED);
}

int tier_advise_sequential(int fd) { return -posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); }

int tier_rename(int from, const char *from_name, int to, const char *to_name, unsigned flags) {
  return TIER_RETRY(renameat2(from, from_name, to, to_name, flags));
}

int tier_link(int from, const char *from_name, int to, const char *to_name) {
  return TIER_RETRY(linkat(from, from_name, to, to_name, 0));
}

int tier_unlink(int directory, const char *name, int flags) {
  return TIER_RETRY(unlinkat(directory, name, flags));
}

int tier_make_directory(int directory, const char *name, unsigned mode) {
  return TIER_RETRY(mkdirat(directory, name, mode));
}

int tier_make_symlink(const char *text, int directory, const char *name) {
  return TIER_RETRY(symlinkat(text, directory, name));
}

ssize_t tier_read_link(int directory, const char *name, char *buffer, size_t size) {
  return TIER_RETRY(readlinkat(directory, name, buffer, size));
}

int tier_chmod(int fd, unsigned mode) { return TIER_RETRY(fchmod(fd, mode)); }

int tier_chown(int directory, const char *name, uint32_t owner, uint32_t group) {
  return TIER_RETRY(fchownat(directory, name, owner, group, AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH)));
}

int tier_set_times(
    int directory, const char *name, int64_t accessed_seconds, long accessed_nanoseconds,
    int64_t modified_seconds, long modified_nanoseconds) {
  struct timespec times[2] = {
      {.tv_sec = accessed_seconds, .tv_nsec = accessed_nanoseconds},
      {.tv_sec = modified_seconds, .tv_nsec = modified_nanoseconds},
  };
  return name ? TIER_RETRY(utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW))
              : TIER_RETRY(futimens(directory, times));
}

int tier_statfs(int fd, struct tier_space *space) {
  struct statfs raw;
  int result = TIER_RETRY(fstatfs(fd, &raw));
  if (result < 0) return result;
  uint64_t unit = raw.f_frsize ? (uint64_t)raw.f_frsize : (uint64_t)raw.f_bsize;
  *space = (struct tier_space){raw.f_blocks * unit, raw.f_bavail * unit, raw.f_type};
  return 0;
}

ssize_t tier_read_directory(int fd, void *buffer, size_t size) {
  return TIER_RETRY(syscall(SYS_getdents64, fd, buffer, size));
}

int tier_set_lease(int fd, int type) {
  int result = TIER_RETRY(fcntl(fd, F_SETSIG, SIGURG));
  return result < 0 ? result : TIER_RETRY(fcntl(fd, F_SETLEASE, type));
}

int tier_get_lease(int fd) { return TIER_RETRY(fcntl(fd, F_GETLEASE)); }

uint64_t tier_device(uint32_t major_number, uint32_t minor_number) {
  return makedev(major_number, minor_number);
}
