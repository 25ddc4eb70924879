#ifndef SANDBAR_TREE_RESOLVE_H
#define SANDBAR_TREE_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

extern bool layer_mode;
/* The layer hides all that is below it. */
extern bool root_opaque;
/* The directory that the archive's own root is. */
extern int base_fd;

/* The directory that holds the last name of `path`, made if need be, and its path without links. Both are the resolver's and good until the next call. */
int parent_of(const char *path, const char **name, const char **canonical);
/* Something is new at `path` (as the archive spells it, and without links), or anything may have changed. */
void forget_below(const char *path, const char *canonical);
void forget_all(void);
/* Times of directories come last: each new file in one changes them. */
void remember_times(const char *path, int64_t seconds, uint32_t nanoseconds);
void apply_times(void);
/* What the layers below show through this one, an O_PATH descriptor. -1 with ENOENT. */
int stack_open(const char *path, struct stat *st);
void mark_opaque(int parent, const char *name, const char *path);

#endif
