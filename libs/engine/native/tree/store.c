#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "found.h"
#include "resolve.h"
#include "sandbox.h"
#include "tree.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

static int staged_in = -1;
static char staged[48];

void abandon_store(void) {
  if (staged_in >= 0) unlinkat(staged_in, staged, 0);
  staged_in = -1;
}

/* Its folder, made if need be, and its last name, which is one. */
static int place_of(const char *path, const char **name) {
  const char *canonical;
  int parent = parent_of(path, name, &canonical);
  if ((*name)[0] == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) fail(EINVAL, "name a file", path);
  require_writable(parent, path);
  return parent;
}

/* As `place_of`, of what is there already. */
static int folder_of(const char *path, const char **name) {
  static char folder[PATH_MAX + 1];
  const char *slash = strrchr(path, '/');
  const size_t length = slash == NULL ? 0 : (size_t)(slash - path);
  if (length > PATH_MAX) fail(ENAMETOOLONG, "open the path", path);
  memcpy(folder, path, length);
  folder[length] = '\0';
  *name = slash == NULL ? path : slash + 1;
  if ((*name)[0] == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) fail(EINVAL, "name a file", path);
  int parent = open_named(folder, O_DIRECTORY);
  require_writable(parent, path);
  return parent;
}

/* A link is written through, wherever in the tree it leads; one that leads nowhere makes way. */
static const char *written_path(const char *path) {
  static char end[PATH_MAX + 1];
  int fd = open_in_root(root_fd, path, O_PATH);
  if (fd < 0) return path;
  struct stat st;
  /* One that was removed meanwhile has no path, whatever the kernel calls it. */
  const bool known = fstat(fd, &st) == 0 && st.st_nlink > 0 && path_of(fd, end, sizeof end) && end[1] != '\0';
  close(fd);
  return known ? end + 1 : path;
}

static void receive(int fd, const char *path) {
  for (;;) {
    struct reader body;
    const uint8_t kind = next_frame(&body);
    if (kind == FRAME_END) return;
    if (kind != FRAME_DATA) fail(EBADMSG, "read a frame", "");
    uint64_t at = read_u64(&body);
    const uint8_t *bytes;
    for (size_t size; (size = read_data(&bytes)) > 0;) {
      while (size > 0) {
        ssize_t put = pwrite(fd, bytes, size, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail(errno, "write", path);
        bytes += put;
        size -= (size_t)put;
        at += (uint64_t)put;
      }
    }
  }
}

static int stage(int parent, const char *path) {
  uint64_t number;
  if (getrandom(&number, sizeof number, 0) != sizeof number) fail(errno, "create", path);
  snprintf(staged, sizeof staged, ".sandbar-upload-%016llx", (unsigned long long)number);
  int fd = openat(parent, staged, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) fail(errno, "create", path);
  staged_in = parent;
  return fd;
}

static uint32_t said(uint32_t wanted, uint32_t otherwise) { return wanted == NOT_SAID ? otherwise : wanted; }

void store_file(const char *raw, const struct attributes *wanted, bool replace) {
  const char *name, *path = written_path(raw);
  /* The resolver's descriptor is good until its next call only. */
  int parent = dup(place_of(path, &name));
  struct stat old;
  const bool exists = fstatat(parent, name, &old, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists && !replace) fail(EEXIST, "replace", raw);
  if (exists && S_ISDIR(old.st_mode)) fail(EISDIR, "replace", raw);
  const bool keeps = exists && S_ISREG(old.st_mode);
  int fd = stage(parent, path);
  receive(fd, path);
  if (fchown(fd, said(wanted->uid, keeps ? old.st_uid : 0), said(wanted->gid, keeps ? old.st_gid : 0)) < 0) fail(errno, "chown", path);
  if (fchmod(fd, said(wanted->mode, keeps ? old.st_mode & 07777 : 0644)) < 0) fail(errno, "chmod", path);
  if (renameat2(parent, staged, parent, name, replace ? 0 : RENAME_NOREPLACE) < 0) fail(errno, "replace", raw);
  staged_in = -1;
  tell_found(fd, path);
}

void make_directory(const char *path, const struct attributes *wanted, bool parents) {
  const char *name;
  int parent = parents ? place_of(path, &name) : folder_of(path, &name);
  if (mkdirat(parent, name, 0755) < 0) {
    struct stat st;
    if (errno != EEXIST) fail(errno, "mkdir", path);
    if (!parents || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)) fail(EEXIST, "mkdir", path);
    return;
  }
  int fd = open_below(parent, name, O_RDONLY | O_DIRECTORY);
  if (fd < 0) fail(errno, "open", path);
  if (fchown(fd, said(wanted->uid, 0), said(wanted->gid, 0)) < 0) fail(errno, "chown", path);
  if (fchmod(fd, said(wanted->mode, 0755)) < 0) fail(errno, "chmod", path);
}

void move_path(const char *from, const char *to, bool replace) {
  const char *old, *name;
  int source = folder_of(from, &old);
  struct stat st;
  if (fstatat(source, old, &st, AT_SYMLINK_NOFOLLOW) < 0) fail(errno, "open the path", from);
  int target = place_of(to, &name);
  if (renameat2(source, old, target, name, replace ? 0 : RENAME_NOREPLACE) < 0) fail(errno, "move", to);
}

void delete_path(const char *path, bool recursive) {
  const char *name;
  int parent = folder_of(path, &name);
  if (recursive) {
    if (remove_at(parent, name) < 0) fail(errno, "delete", path);
    return;
  }
  if (unlinkat(parent, name, 0) == 0) return;
  if (errno == EISDIR && unlinkat(parent, name, AT_REMOVEDIR) == 0) return;
  fail(errno, errno == ENOENT ? "open the path" : "delete", path);
}
