#ifndef SANDBAR_TREE_STORE_H
#define SANDBAR_TREE_STORE_H

#include <stdbool.h>
#include <stdint.h>

/* For ids and modes: as it is, or as root's. */
#define NOT_SAID UINT32_MAX

struct attributes {
  uint32_t mode, uid, gid;
};

/* Data frames become a file, whole or not at all. */
void store_file(const char *path, const struct attributes *wanted, bool replace);
/* What `store_file` has begun goes. */
void abandon_store(void);
void make_directory(const char *path, const struct attributes *wanted, bool parents);
void move_path(const char *from, const char *to, bool replace);
void delete_path(const char *path, bool recursive);

#endif
