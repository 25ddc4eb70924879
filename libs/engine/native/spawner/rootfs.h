#ifndef SANDBAR_SPAWNER_ROOTFS_H
#define SANDBAR_SPAWNER_ROOTFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* What a launch mounts. Failures are told by fail() and end the child. */

enum upper_kind { UPPER_TMPFS = 1, UPPER_DIRECTORY = 2 };

struct upper {
  enum upper_kind kind;
  /* UPPER_TMPFS */
  uint64_t bytes;
  uint64_t inodes;
  /* UPPER_DIRECTORY: two folders side by side. */
  const char *parent;
  const char *upper_name;
  const char *work_name;
  /* Nothing of it outlives a crash: overlayfs forces nothing to disk. */
  bool fleeting;
};

enum bind_flags { BIND_ENSURE_DIRECTORY = 1, BIND_READ_ONLY = 2, BIND_SET_ID = 4 };

struct bind_mount {
  const char *base;
  const char *path;
  uint8_t flags;
};

struct rootfs {
  const char *mount_point;
  char **lower_dirs;
  struct upper upper;
  uint32_t id_start;
  uint32_t id_count;
  struct bind_mount *binds;
  size_t bind_count;
  /* The network name space that we are in is not the node's: what the sandbox sees of it is mounted here, for its user name space may not. */
  bool with_sys;
};

void read_upper(struct reader *body, struct upper *out);
/* The binds are never freed. */
void read_binds(struct reader *body, struct rootfs *out);

/* Moves the process into a mount name space of its own and builds the root file system at `<mount_point>/rootfs` and the binds at `binds/N`, `sys` with_sys. */
void build_rootfs(const struct rootfs *rootfs);

/* A user name space that only carries the id mapping. It lives as long as the descriptor and the mounts made with it. */
int open_userns(const struct rootfs *rootfs);
/* In the working folder: mounts each bind at `binds/N`. */
void mount_binds(const struct rootfs *rootfs, int userns);

#endif
