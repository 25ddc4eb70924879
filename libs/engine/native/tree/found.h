#ifndef SANDBAR_TREE_FOUND_H
#define SANDBAR_TREE_FOUND_H

#include <stdint.h>

/* What a caller names, as an O_PATH descriptor: the kernel's own file systems are no files of the guest's. */
int open_named(const char *path, int flags);
/* A frame that says what it is. */
void tell_found(int fd, const char *path);

/* Without following a link at the end. */
void stat_path(const char *path);
/* Sorted by the bytes of the names. */
void list_path(const char *path);
/* Of a regular file. `from` below zero counts from its end. */
void read_range(const char *path, int64_t from, uint64_t length);

#endif
