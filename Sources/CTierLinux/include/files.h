// Linux calls that Swift's Glibc module doesn't export. Only plain C types stand here, and `_GNU_SOURCE` only in
// the .c files: a system header read twice with different feature macros gives two clashing clang modules.
//
// Every function returns 0, a count or a descriptor, or a negated errno. EINTR is retried, so nobody sees it.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// "ENOSPC", or NULL for a number without a name.
const char *tier_errno_name(int number);
// "No space left on device"; never translated, thread-safe; NULL for an unknown number.
const char *tier_errno_description(int number);

// What tierd reads of statx.
struct tier_status {
  uint64_t device, inode;
  uint32_t mode, links, owner, group;
  int64_t size, allocated_bytes;
  int64_t modified_seconds, changed_seconds, accessed_seconds;
  uint32_t modified_nanoseconds, changed_nanoseconds, accessed_nanoseconds;
  uint64_t mount_id;
};

// Of the name itself. An empty name: of `directory` itself.
int tier_statx(int directory, const char *name, struct tier_status *status);

// A path below `root`: no symbolic link in any component (a last one can be had with O_PATH|O_NOFOLLOW), no
// `..` out of it, no /proc magic link. O_CLOEXEC is added.
int tier_open_beneath(int root, const char *path, int flags, unsigned mode);

int tier_open(const char *path, int flags, unsigned mode);

// On Linux the descriptor is gone whatever close answers, EINTR included.
int tier_close(int fd);

ssize_t tier_pread(int fd, void *buffer, size_t count, int64_t offset);
ssize_t tier_pwrite(int fd, const void *buffer, size_t count, int64_t offset);
ssize_t tier_read(int fd, void *buffer, size_t count);
ssize_t tier_write(int fd, const void *buffer, size_t count);

// Bytes copied inside the kernel, perhaps by reflink; 0 at the source's end. EXDEV, EINVAL, EOPNOTSUPP where
// the file systems can't.
ssize_t tier_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t count);

int64_t tier_seek_data(int fd, int64_t offset);
int64_t tier_seek_hole(int fd, int64_t offset);
int tier_truncate(int fd, int64_t size);
/// Frees the range; the size stays.
int tier_punch(int fd, int64_t offset, int64_t length);
int tier_sync(int fd);
// Asks the kernel to forget the clean cached pages, so that the next read comes from the disk.
int tier_drop_cache(int fd);
// Lets the range's dirty pages go to the disk, without waiting.
int tier_start_writing(int fd, int64_t offset, int64_t count);
// Waits until the range is on its way to the disk (no flush, no metadata: that is tier_sync's), then forgets
// its pages.
int tier_write_and_forget(int fd, int64_t offset, int64_t count);
int tier_advise_sequential(int fd);

int tier_rename(int from, const char *from_name, int to, const char *to_name, unsigned flags);
// Of the name itself, symbolic links included.
int tier_link(int from, const char *from_name, int to, const char *to_name);
int tier_unlink(int directory, const char *name, int flags);
int tier_make_directory(int directory, const char *name, unsigned mode);
int tier_make_symlink(const char *text, int directory, const char *name);
ssize_t tier_read_link(int directory, const char *name, char *buffer, size_t size);
int tier_chmod(int fd, unsigned mode);
// Empty name: of `directory` itself, whatever it is.
int tier_chown(int directory, const char *name, uint32_t owner, uint32_t group);
// NULL name: of the open file itself.
int tier_set_times(
    int directory, const char *name, int64_t accessed_seconds, long accessed_nanoseconds,
    int64_t modified_seconds, long modified_nanoseconds);

struct tier_space {
  uint64_t total_bytes, available_bytes;
  int64_t type;
};
int tier_statfs(int fd, struct tier_space *space);

// Fills `buffer` with `struct linux_dirent64` records; 0 at the end.
ssize_t tier_read_directory(int fd, void *buffer, size_t size);

// A break of the lease is signalled by SIGURG, which does nothing by default (SIGIO would end the process).
int tier_set_lease(int fd, int type);
// F_RDLCK, F_WRLCK or F_UNLCK: while somebody waits, what the lease must become.
int tier_get_lease(int fd);

// Values that hide behind _GNU_SOURCE or differ between processors.
extern const int tier_O_PATH, tier_O_DIRECTORY, tier_O_NOFOLLOW, tier_O_NOATIME;
extern const int tier_AT_REMOVEDIR;
extern const unsigned tier_RENAME_NOREPLACE, tier_RENAME_EXCHANGE;

// As struct tier_status has it.
uint64_t tier_device(uint32_t major_number, uint32_t minor_number);
