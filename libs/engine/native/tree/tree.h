#ifndef SANDBAR_TREE_TREE_H
#define SANDBAR_TREE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "wire.h"

#define MAX_LOWERS 128
#define OPAQUE_XATTR "trusted.overlay.opaque"

enum entry_type { TYPE_FILE, TYPE_DIRECTORY, TYPE_SYMLINK, TYPE_HARDLINK, TYPE_CHAR, TYPE_BLOCK, TYPE_FIFO, TYPE_WHITEOUT, TYPE_OPAQUE };

struct entry {
  uint8_t type;
  uint32_t mode, uid, gid;
  uint64_t size;
  int64_t seconds;
  uint32_t nanoseconds;
  uint32_t major, minor;
  /* Relative, clean; "" is the root. */
  const char *path;
  const char *link;
  /* Where the extended attributes begin. */
  struct reader xattrs;
};

/* Ends the program with a report: errno, what was being done, and to which path of the tree. */
_Noreturn void fail(int error, const char *step, const char *path);

/* The tree at hand: its root, the layers below it (topmost first), and /proc/self/fd, opened before the root was entered. */
extern int root_fd;
extern int lower_fds[MAX_LOWERS];
extern size_t lower_count;

/* roots.c */
int open_host_dir(const char *path, const char *step);
void enter_directory(const char *path);
void enter_overlay(const char *const *dirs, size_t count);
void open_proc(void);
/* The very file that an O_PATH descriptor stands for, opened for use. */
int reopen(int fd, int flags);
int change_mode(int fd, mode_t mode);
/* Where it is now, seen from the root that was entered. */
bool path_of(int fd, char *path, size_t room);
/* O_NOATIME where it is allowed. */
int quiet(void);

/* opens.c: paths are relative to a descriptor; "" is the descriptor's own directory. No magic links, no symbolic link at the end. */
/* No links at all, nor another mount; in a sandbox, its other mounts too. */
int open_below(int dir, const char *path, int flags);
/* Never another mount. */
int open_on_mount(int dir, const char *path, int flags);
/* Links are resolved inside of `root`, one at the end too unless O_NOFOLLOW is among the flags. */
int open_in_root(int root, const char *path, int flags);
bool is_whiteout(const struct stat *st);
bool is_opaque(int fd);
bool is_kept_xattr(const char *name);

/* stack.c: what the layers below show at a path without links: an O_PATH descriptor, or -1 with ENOENT. */
int lower_open(const char *path, struct stat *st);
/* Calls back with each name that the layers below show in a directory. */
void each_lower_name(const char *path, void (*visit)(const char *name, void *context), void *context);
/* Whether `dir` hides what layers below it have at `path`, which it has not. */
bool hides(int dir, const char *path);

/* remove.c: a file or a folder with all that is in it; absent is fine. -1 with errno. */
int remove_at(int parent, const char *name);

/* metadata.c */
void set_metadata(int fd, const struct entry *entry);
void set_link_metadata(int parent, const char *name, const struct entry *entry);
void set_xattr_on(int fd, const char *name, const void *value, size_t size, const char *path);
/* Owner, kept extended attributes and mode of one open file for another. */
void copy_metadata(int from, const struct stat *st, int to, const char *path);

/* copy.c: a file of the layers below, made in this layer too. */
void copy_lower(int from, const struct stat *st, int parent, const char *name, const char *path);

/* The modes of the program. */
/* Answers with the bytes that hard links brought up from the layers below. */
uint64_t write_tree(bool layer, bool only_if_empty, bool same_kinds, const char *into);
void read_tree(bool layer, bool only_directory, const char *path);
void list_changes(void);
void measure(uint64_t *bytes, uint64_t *inodes);

/* names.c: the names in a directory, sorted by their bytes. */
struct names {
  char **list;
  size_t count;
};
struct names read_names(int dir);
void free_names(struct names *names);
/* Whether this file, of which there are several links, is new to the set. Else *first is the path that it was seen under. */
bool first_link(const struct stat *st, const char *path, const char **first);

#endif
