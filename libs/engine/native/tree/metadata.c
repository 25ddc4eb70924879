#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sandbox.h"
#include "tree.h"

/* A file system without them, or a kind of file that takes none: the rest of the entry is still worth having, as Docker finds too. */
static bool is_bearable(int error, const char *name) {
  if (error == EOPNOTSUPP) return true;
  /* Trusted ones are for the first user name space alone (xattr(7)). */
  return error == EPERM && (strncmp(name, "user.", 5) == 0 || (in_sandbox && strncmp(name, "trusted.", 8) == 0));
}

void set_xattr_on(int fd, const char *name, const void *value, size_t size, const char *path) {
  if (fsetxattr(fd, name, value, size, 0) < 0 && !is_bearable(errno, name)) fail(errno, "setxattr", path);
}

static void next_xattr(struct reader *r, const char **name, const uint8_t **value, size_t *size) {
  *name = read_string(r);
  *value = read_blob(r, size);
}

/* chown(2) takes set-id bits and file capabilities away, so it comes first; writing takes them too, so this comes after the data. */
void set_metadata(int fd, const struct entry *entry) {
  if (fchown(fd, entry->uid, entry->gid) < 0) fail(errno, "chown", entry->path);
  struct reader xattrs = entry->xattrs;
  while (xattrs.at < xattrs.end) {
    const char *name;
    const uint8_t *value;
    size_t size;
    next_xattr(&xattrs, &name, &value, &size);
    if (is_kept_xattr(name)) set_xattr_on(fd, name, value, size, entry->path);
  }
  if (fchmod(fd, entry->mode) < 0) fail(errno, "chmod", entry->path);
}

void set_link_metadata(int parent, const char *name, const struct entry *entry) {
  int fd = open_below(parent, name, O_PATH);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) fail(errno, "open", entry->path);
  if (fchownat(fd, "", entry->uid, entry->gid, AT_EMPTY_PATH) < 0) fail(errno, "chown", entry->path);
  struct reader xattrs = entry->xattrs;
  /* There is no setxattr for such a descriptor; lsetxattr(2) of a bare name in the working directory follows nothing. */
  if (xattrs.at < xattrs.end && fchdir(parent) < 0) fail(errno, "chdir", entry->path);
  while (xattrs.at < xattrs.end) {
    const char *key;
    const uint8_t *value;
    size_t size;
    next_xattr(&xattrs, &key, &value, &size);
    if (is_kept_xattr(key) && lsetxattr(name, key, value, size, 0) < 0 && !is_bearable(errno, key)) fail(errno, "setxattr", entry->path);
  }
  if (!S_ISLNK(st.st_mode) && change_mode(fd, entry->mode) < 0) fail(errno, "chmod", entry->path);
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = entry->seconds, .tv_nsec = entry->nanoseconds}};
  if (utimensat(fd, "", times, AT_EMPTY_PATH) < 0) fail(errno, "set the time", entry->path);
  close(fd);
}

void copy_metadata(int from, const struct stat *st, int to, const char *path) {
  if (fchown(to, st->st_uid, st->st_gid) < 0) fail(errno, "chown", path);
  ssize_t size = flistxattr(from, NULL, 0);
  char *list = size > 0 ? malloc((size_t)size) : NULL;
  if (size > 0) {
    if (list == NULL) fail(ENOMEM, "copy extended attributes", path);
    size = flistxattr(from, list, (size_t)size);
  }
  for (char *name = list; size > 0 && name < list + size; name += strlen(name) + 1) {
    if (!is_kept_xattr(name)) continue;
    static uint8_t value[65536];
    ssize_t got = fgetxattr(from, name, value, sizeof value);
    if (got < 0) fail(errno, "copy extended attributes", path);
    set_xattr_on(to, name, value, (size_t)got, path);
  }
  free(list);
  if (fchmod(to, st->st_mode & 07777) < 0) fail(errno, "chmod", path);
}
