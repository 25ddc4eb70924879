#ifndef SANDBAR_PATHS_H
#define SANDBAR_PATHS_H

#include <stdbool.h>
#include <sys/types.h>

struct parents {
  bool make;
  uid_t uid;
  gid_t gid;
};

/*
 * Opens (O_PATH) the folder that holds the last component of an absolute path without "." and "..", and gives that component.
 * -1 with errno: ELOOP for a symbolic link on the way, EXDEV for a file system that is the kernel's and not the guest's.
 */
int path_open_parent(const char *path, const struct parents *parents, char name[256]);

#endif
