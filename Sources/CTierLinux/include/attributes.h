#pragma once
#include <stddef.h>
#include <sys/types.h>

// Extended attributes of an open file, and of a name in an open directory without following a symbolic link:
// the kernel has no call for that before 6.13, so the directory is named through /proc.

ssize_t tier_get_attribute_at(int directory, const char *file, const char *name, void *value, size_t size);
int tier_set_attribute_at(int directory, const char *file, const char *name, const void *value, size_t size);

ssize_t tier_list_attributes(int fd, char *names, size_t size);
ssize_t tier_get_attribute(int fd, const char *name, void *value, size_t size);
int tier_set_attribute(int fd, const char *name, const void *value, size_t size);
int tier_remove_attribute(int fd, const char *name);
