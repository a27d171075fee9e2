#include "retry.h"

#include "attributes.h"

#include <stdio.h>
#include <sys/xattr.h>

// A descriptor's digits and the longest file name.
#define TIER_PROC_PATH_BYTES (32 + 256)

static void tier_proc_path(char *path, int directory, const char *name) {
  snprintf(path, TIER_PROC_PATH_BYTES, "/proc/self/fd/%d/%s", directory, name);
}

ssize_t tier_get_attribute_at(int directory, const char *file, const char *name, void *value, size_t size) {
  char path[TIER_PROC_PATH_BYTES];
  tier_proc_path(path, directory, file);
  return TIER_RETRY(lgetxattr(path, name, value, size));
}

int tier_set_attribute_at(int directory, const char *file, const char *name, const void *value, size_t size) {
  char path[TIER_PROC_PATH_BYTES];
  tier_proc_path(path, directory, file);
  return TIER_RETRY(lsetxattr(path, name, value, size, 0));
}

ssize_t tier_list_attributes(int fd, char *names, size_t size) {
  return TIER_RETRY(flistxattr(fd, names, size));
}

ssize_t tier_get_attribute(int fd, const char *name, void *value, size_t size) {
  return TIER_RETRY(fgetxattr(fd, name, value, size));
}

int tier_set_attribute(int fd, const char *name, const void *value, size_t size) {
  return TIER_RETRY(fsetxattr(fd, name, value, size, 0));
}

int tier_remove_attribute(int fd, const char *name) { return TIER_RETRY(fremovexattr(fd, name)); }
